"""Ctrl-C is a sentence and 130, no traceback: in a command that looks at runs, and in any that still imports."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from learner_jax import evaluate, status
from learner_jax.report import __main__ as report
from learner_jax.report import page  # noqa: F401  # an import that is cut off would be half there for other tests


@pytest.fixture
def endless(run_folder):
    """A run whose metrics never end: who reads them waits for ever."""
    os.mkfifo(run_folder / "metrics.jsonl")
    return run_folder


@pytest.fixture
def run_folder(tmp_path):
    run = tmp_path / "runs" / "one"
    (run / "eval" / "3").mkdir(parents=True)
    (run / "eval" / "3" / "scores.json").write_text("{}")
    (run / "config.json").write_text(json.dumps({"steps": 3, "batch_size": 2, "objective": {"name": "mse"}}))
    return run


@pytest.mark.parametrize(
    ("main", "arguments", "told"),
    [
        (report.main, ["{runs}"], "stopped; no page was written, and one from before is as it was"),
        (status.main, ["{runs}"], "stopped; it only reads, so nothing has changed"),
        (evaluate.main, ["--follow", "--workdir", "{runs}/to_come"], "stopped; what was scored is kept, and the same"),
    ],
)
def test_ctrl_c_is_a_sentence(main, arguments, told, endless, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    assert main([text.format(runs=endless.parent) for text in arguments]) == 130
    timer.join()
    signal.signal(signal.SIGINT, before)
    captured = capsys.readouterr()
    assert captured.err.strip().startswith(told)
    assert not (endless.parent / "report").exists()


@pytest.mark.parametrize("module", ["tfds_builders.build", "tfds_builders.splits", "learner_jax.main"])
def test_ctrl_c_while_a_command_imports_is_a_word(module, tmp_path):
    for name in ("numpy", "ml_collections"):  # each command imports one of them
        (tmp_path / f"{name}.py").write_text("raise KeyboardInterrupt")
    command, own = [sys.executable, "-m", module, "--help"], {"PYTHONPATH": str(tmp_path)}
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=os.environ | own, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGINT  # which a shell calls 130
    assert done.stderr == "\nstopped\n"
