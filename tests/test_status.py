"""``python -m learner_jax.status``: states, figures and warnings of runs from their folders alone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from learner_jax import status
from learner_jax.lock import only_trainer
from learner_jax.report import goodput
from learner_jax.report.goodput import Life
from learner_jax.report.health import held, look
from learner_jax.report.ledger import ACCOUNTS
from tfds_builders.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def make_run(tmp_path):
    """``make_run(name, step, …)``: what a run of 100 steps leaves."""

    def make(name="one", step=40, scored=False, checkpoints=(), ended="", lines=(), seen=0.0, **fields):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        config = {"steps": 100, "batch_size": 32, "objective": {"name": "learner_combined"}}
        (run / "config.json").write_text(json.dumps(config))
        lines = lines or [{"step": step, "loss": 0.5, "skipped": 0}]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (run / "lock").write_text("process 1 on there\n")
        for number in checkpoints:
            (run / f"checkpoints/{number}").mkdir(parents=True)
            (run / f"checkpoints/{number}/manifest.json").touch()
        if scored:
            (run / f"eval/{step}").mkdir(parents=True)
            (run / f"eval/{step}/scores.json").touch()
        spent = dict.fromkeys(ACCOUNTS, 0.0) | {"start": 25.0, "steps": 75.0}
        when = time.time() - seen
        goodput.write(run, [Life(0, step, spent, when - 100, when, ended, **fields)])
        for path in (run / "config.json", run / "metrics.jsonl"):
            os.utime(path, (when, when))
        return run

    return make


def test_running_is_who_holds_the_lock(make_run):
    run = make_run(recent_examples_per_second=96.0, examples_per_second=200.0, input_wait=0.01)
    with only_trainer(run):
        health = look(run)
    assert (health.state, health.ended) == ("running", "")
    assert health.examples_per_second == 96
    assert health.eta == 60 * 32 / 96
    assert health.goodput == 0.75
    assert health.input_wait == 0.01
    health = look(run)
    assert (health.state, health.ended, health.eta) == ("interrupted", "killed", None)
    assert health.examples_per_second == 200


def test_a_process_that_has_just_begun_is_not_as_fast_as_the_one_before(make_run):
    run = make_run(ended="preempted", recent_examples_per_second=96.0, examples_per_second=200.0)
    with only_trainer(run):
        health = look(run)
    assert (health.state, health.examples_per_second, health.eta) == ("running", None, None)


def test_looking_does_not_keep_a_trainer_from_beginning(make_run):
    run = make_run()
    code = "import sys; from pathlib import Path; from learner_jax.report.health import held\n"
    code += "print(flush=True)\nwhile True: held(Path(sys.argv[1]))"
    looker = subprocess.Popen([sys.executable, "-c", code, str(run)], cwd=ROOT, stdout=subprocess.PIPE)
    looker.stdout.readline()
    try:
        for _ in range(20):
            with only_trainer(run):
                pass
    finally:
        looker.kill()
        looker.communicate()


@pytest.mark.parametrize(
    ("step", "scored", "ended", "expected"),
    [
        (100, True, "finished", ("finished", "")),
        (100, False, "", ("interrupted", "killed")),  # between the last checkpoint and its scores
        (40, True, "preempted", ("interrupted", "preempted")),
        (40, False, "InputError", ("interrupted", "InputError")),
    ],
)
def test_finished_is_the_last_step_with_its_scores(make_run, step, scored, ended, expected):
    health = look(make_run(step=step, scored=scored, ended=ended))
    assert (health.state, health.ended) == expected


def test_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 5, "batch_size": 2, "objective": {"name": "mse"}}')
    health = look(tmp_path)
    assert (health.state, health.step, health.checkpoint, health.goodput, health.loss) == (
        "interrupted",
        0,
        None,
        None,
        None,
    )
    assert not held(tmp_path)
    assert not (tmp_path / "lock").exists()


def test_a_lock_of_somebody_else_is_a_sentence(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(InputError, match="lock cannot be read, so it is not known whether a trainer works there"):
        held(tmp_path)


def test_the_newest_checkpoint_is_the_committed_one_with_the_largest_number(make_run):
    run = make_run(checkpoints=(9, 10))
    (run / "checkpoints/50").mkdir()  # without its manifest
    (run / "checkpoints/20.orbax-checkpoint-tmp-3").mkdir()
    (run / "damaged/40-1").mkdir(parents=True)
    health = look(run)
    assert (health.checkpoint, health.damaged) == (10, 1)
    assert health.warnings == ("1 checkpoint set aside in its folder damaged/: look at the disk",)


def test_what_is_not_well_is_said(make_run):
    line = {"loss": 0.1, "skipped": 0.0, "effective_rank": 0.0, "mean_cosine": 1.0}
    collapsed = make_run("collapsed", lines=[{"step": step, **line} for step in range(35, 41)])
    assert "collapsed at step 40" in look(collapsed).warnings[0]
    lost = make_run("lost", lines=[{"step": 40, "loss": None, "skipped": 7.0}])
    assert look(lost).warnings == (
        "the loss of step 40 is not finite",
        "7 steps changed nothing, as their loss or gradient was not finite",
    )
    assert (look(lost).loss, look(lost).skipped) == (None, 7)
    silent = make_run("silent", seen=1800)
    assert look(silent).warnings == ()
    with only_trainer(silent):
        assert "no sign of life for 30 min" in look(silent).warnings[0]


def test_the_table_fits_a_pipe_and_says_all(make_run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rate = {"recent_examples_per_second": 51234.0, "examples_per_second": 51234.0, "input_wait": 0.034}
    running = make_run("running", checkpoints=(30,), lines=[{"step": 40, "loss": 0.123456, "skipped": 3.0}], **rate)
    make_run("sweep/a-name-that-is-much-too-long-for-a-table", step=100, scored=True, ended="finished", seen=7500)
    make_run("sweep/stopped", ended="preempted", seen=400000)
    with only_trainer(running):
        assert status.main([str(running.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 or lines[-1].startswith("1 running, 1 finished, 1 interrupted: ")
    assert max(map(len, lines[:-1])) <= 80
    text = "\n".join(line.rstrip() for line in lines)
    for word in (
        "40/100",
        "running: 3 steps changed",
        "0.123",
        "51234",
        " 3 ",
        " 75 ",
        "2:05 h",
        "5 d",
        "(preempted)",
        "100/100",
    ):
        assert word in text, word
    assert "…" not in text
    lines = text.splitlines()
    at = lines.index("sweep/stopped (preempted)")
    assert lines[at + 1].split()[:2] == ["interrupted", "40/100"]
    assert "sweep/a-name-that-is-much-too-long-for-a-table" in lines, "a name is not cut within a word"
    assert [line.split()[:2] for line in lines].count(["state", "step"]) == 1


def test_where_names_fit_each_run_is_a_line(make_run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    make_run("one", step=100, scored=True, ended="finished")
    run = make_run("two")
    assert status.main([str(run.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith(("one", "two"))] == [
        ["one", "finished", "100/100"],
        ["two", "interrupted", "40/100"],
    ]


def test_json_has_everything(make_run, capsys):
    run = make_run(checkpoints=(30,))
    assert status.main(["--json", str(run), str(run.parent)]) == 0
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    assert (told["run"], told["state"], told["checkpoint"], told["loss"]) == (str(run), "interrupted", 30, 0.5)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("config.json", "{}", "is not the config of a run (KeyError: 'batch_size')"),
        ("metrics.jsonl", "nonsense\n", "is not a line of metrics"),
        ("goodput.json", "{", "it only records time: remove it"),
    ],
)
def test_damage_is_a_sentence(make_run, capsys, file, text, sentence):
    run = make_run()
    (run / file).write_text(text)
    assert status.main([str(run)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert file in said


def test_one_that_cannot_be_read_does_not_hide_the_others(make_run, capsys):
    whole = make_run("sweep/whole")
    (make_run("sweep/half") / "config.json").write_text("{")
    (folder := whole.parent / "linked").mkdir()
    (folder / "there").symlink_to(make_run("elsewhere"))
    (folder / "round").symlink_to(folder)
    assert status.main([str(folder.parent)]) == 2
    said = capsys.readouterr()
    assert "whole" in said.out
    assert "linked/there" in said.out
    assert "half/config.json" in said.err


def test_no_run_is_a_sentence(tmp_path, capsys):
    assert status.main([str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_it_starts_without_jax(make_run):
    code = "import sys; from learner_jax import status; code = status.main(sys.argv[1:]); "
    code += "print(sorted({'jax', 'flax', 'orbax', 'polars', 'numpy'} & set(sys.modules))); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code, str(make_run())], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
