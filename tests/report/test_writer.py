import json
import pathlib

import numpy as np
import pytest

from learner_jax.report.writer import MetricsWriter, newest_metrics, read_metrics
from tfds_builders.errors import InputError


def write(path: pathlib.Path, first: int, last: int, resume_step: int = 0) -> None:
    with MetricsWriter(path, resume_step) as writer:
        for step in range(first, last + 1):
            writer.write(step, {"loss": np.float32(1 / step), "rate": 0.1 * step})


def test_reads_back_what_was_written(tmp_path):
    write(tmp_path / "run" / "metrics.jsonl", 1, 3)
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[2]["loss"] == pytest.approx(1 / 3)


def test_missing_file_holds_no_lines(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_say_becomes_null(tmp_path, value):
    path = tmp_path / "metrics.jsonl"
    with MetricsWriter(path) as writer:
        writer.write(1, {"loss": value})

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(path.read_text(), parse_constant=refuse) == {"step": 1, "loss": None}


def test_a_line_is_on_disk_before_the_next_step(tmp_path):
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    writer.write(1, {"loss": 1.0})
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1
    writer.close()


@pytest.mark.parametrize("resume_step", [1, 4, 7])
def test_killed_and_resumed_file_equals_the_undisturbed_one(tmp_path, resume_step):
    write(tmp_path / "whole.jsonl", 1, 9)
    killed = tmp_path / "killed.jsonl"
    write(killed, 1, 7)
    with killed.open("ab") as file:
        file.write(b'{"step": 8, "lo')
    write(killed, resume_step + 1, 9, resume_step)
    assert killed.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_fresh_start_keeps_nothing(tmp_path):
    write(tmp_path / "metrics.jsonl", 0 + 1, 5)
    MetricsWriter(tmp_path / "metrics.jsonl").close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def test_unfinished_last_line_is_left_out_at_every_length(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, 1, 2)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        assert [line["step"] for line in read_metrics(path)] == [1]


def test_damage_in_the_middle_is_said_with_its_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(InputError, match=r"line 2 is not a line of metrics .* Delete that line"):
        read_metrics(path)


@pytest.mark.parametrize("size", [1, 3000])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_newest_lines_are_the_end_of_all_lines(tmp_path, size, count):
    path = tmp_path / "metrics.jsonl"
    assert newest_metrics(path, count) == []
    lines = [{"step": step, "text": "x" * (size + step)} for step in range(1, 31)]
    for n in (1, 2, 30):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines[:n]) + '{"step": 99')
        assert newest_metrics(path, count) == lines[:n][-count:]
    path.write_text(path.read_text() + "\nnonsense\n")
    with pytest.raises(InputError, match=r"metrics.jsonl, of its last \d+ lines number \d+ is not a line of metrics"):
        newest_metrics(path, count)
