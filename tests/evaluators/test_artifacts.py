"""Evaluations are whole or not there, whichever process is killed and however many write at once."""

import json
import shutil
import threading
import tracemalloc
from pathlib import Path

import pytest

from learner_jax.evaluators import artifacts
from learner_jax.evaluators.rows import Row


def evaluation(parent: Path, name: str, written: str) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    for file in ("scores.json", "pairs.csv", "observations.csv"):
        (folder / file).write_text(written)
    return folder


def whole(folder: Path) -> str:
    """The contents of all its files."""
    (written,) = {path.read_text() for path in folder.iterdir()}
    assert len(list(folder.iterdir())) == 3
    return written


def test_a_kill_while_an_older_evaluation_is_removed_leaves_no_part_of_one(tmp_path, monkeypatch):
    final = evaluation(tmp_path, "4", "older")

    def killed(folder, *args, **kwargs):
        next(path for path in Path(folder).rglob("*") if path.is_file()).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        artifacts.put(evaluation(tmp_path, "new", "newer"), final)
    assert whole(final) == "newer"


def test_two_evaluations_of_one_step_at_once_leave_one_of_them(tmp_path):
    final, faults = tmp_path / "4", []

    def write(name: str) -> None:
        try:
            for at in range(40):
                artifacts.put(evaluation(tmp_path, f"{name}{at}", name), final)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert whole(final) in "ab"
    assert [path.name for path in tmp_path.iterdir()] == ["4"], "nothing is left beside it"


def test_what_cannot_be_moved_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        artifacts.put(tmp_path / "missing", evaluation(tmp_path, "4", "older"))
    assert whole(tmp_path / "4") == "older"


def test_floors_that_were_cut_off_leave_the_older_ones(tmp_path, monkeypatch):
    """In the table, or in the file with the key."""
    rows = [Row("pairwise_accuracy", value, 0.4, 0.6, 30, 90) for value in (0.5, 0.55)]
    artifacts.write_floors({"pixels": rows}, {}, "older", tmp_path)
    table = (tmp_path / "eval/floors.csv").read_text()

    def cut_off(path, text, **_):
        with path.open("w") as file:
            file.write(text[:9])
        raise KeyboardInterrupt

    for owner, name, how in ((Path, "write_text", cut_off), (artifacts, "_blank", lambda value: 1 // (value != 0.55))):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, how)
            with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
                artifacts.write_floors({"pixels": rows}, {}, "newer", tmp_path)
        assert artifacts.floors_key(tmp_path) == "older"
        assert (tmp_path / "eval/floors.csv").read_text() == table
    artifacts.write_floors({"pixels": rows[:1]}, {}, "newer", tmp_path)
    assert json.loads((tmp_path / "eval/floors.json").read_text())["key"] == "newer"


def test_a_table_is_written_row_by_row(tmp_path):
    """500 patients with 100 visits have 2.5 million pairs; as dictionaries each takes a kilobyte."""
    rows = ({"patient": "a" * 12, "first": i, "delta": i / 7} for i in range(5_000))
    tracemalloc.start()
    artifacts.write_csv(tmp_path / "pairs.csv", rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**18
    lines = (tmp_path / "pairs.csv").read_text().splitlines()
    assert lines[:2] == ["patient,first,delta", "aaaaaaaaaaaa,0,0.0"]
    assert len(lines) == 5_001
    artifacts.write_csv(tmp_path / "none.csv", iter(()))
    assert (tmp_path / "none.csv").read_text() == ""
