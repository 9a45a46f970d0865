"""Jobs through submitit, which runs them as processes here: the same calls as on a cluster, less sbatch."""

import os
import signal
import sys
import threading
import time

import pytest

submitit = pytest.importorskip("submitit")

from learner_jax.sweep.slurm import Element, Slurm  # noqa: E402
from learner_jax.sweep.task import Task  # noqa: E402
from tfds_builders.errors import InputError  # noqa: E402

FAILS = "print('error: no such thing'); raise SystemExit(2)"
# preempted the first time, done the second
AGAIN = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); n = p.exists(); p.touch(); sys.exit(0 if n else 143)"


def test_what_fails_is_told_and_stops_no_other_and_what_is_preempted_goes_on(tmp_path):
    commands = {"fails": [FAILS], "works": ["print('hello')"], "again": [AGAIN, str(tmp_path / "seen")]}
    tasks = [Task(name, [sys.executable, "-c", *code], tmp_path / f"{name}.log") for name, code in commands.items()]
    said = []
    outcomes = Slurm(tmp_path / "jobs", cluster="local", hours=0.1, say=said.append)(tasks)
    assert [one.code for one in outcomes] == [2, 0, 0]
    assert outcomes[0].why == "error: no such thing"
    assert tasks[1].log.read_text() == "hello\n"
    assert said[0].startswith("3 jobs submitted")


def test_a_trainer_that_has_committed_is_not_waited_for(tmp_path):
    """SLURM ends a job by a signal, whose handler runs in the midst of the wait for the trainer."""
    commits = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print(flush=True); "
    element = Element(Task("one", [sys.executable, "-c", commits + "time.sleep(60)"], tmp_path / "log"))
    ended = []

    def end(*_):
        began = time.monotonic()
        element.checkpoint()
        ended.append((time.monotonic() - began, element._process.returncode))
        raise InterruptedError

    before = signal.signal(signal.SIGUSR2, end)
    try:
        while_it_waits = threading.Thread(
            target=lambda: (_said(tmp_path / "log"), os.kill(os.getpid(), signal.SIGUSR2))
        )
        while_it_waits.start()
        with pytest.raises(InterruptedError):
            element()
    finally:
        signal.signal(signal.SIGUSR2, before)
        while_it_waits.join()
    ((seconds, code),) = ended
    assert (code, seconds < 10) == (143, True)


def _said(log):
    while not log.exists() or not log.read_text():
        time.sleep(0.05)


def test_without_a_cluster_it_says_so(tmp_path):
    with pytest.raises(InputError, match="no sbatch is here"):
        Slurm(tmp_path)
