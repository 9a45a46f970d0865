"""Processes of a pool: never two on one device, a failure stops no other, what is preempted goes on."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from learner_jax.sweep import devices
from learner_jax.sweep.devices import Slot, slots
from learner_jax.sweep.local import Local, Waiting
from learner_jax.sweep.task import Task
from tests.command import ROOT
from tfds_builders.errors import InputError

NOTES = (
    "import os, sys, time; begun = time.time(); time.sleep(0.3); print(os.environ.get('DEVICE'), begun, time.time())"
)


def task(tmp_path, name, code, *arguments):
    return Task(name, [sys.executable, "-c", code, *map(str, arguments)], tmp_path / f"{name}.log")


def test_a_device_has_one_process_at_a_time_and_all_devices_work(tmp_path):
    tasks = [task(tmp_path, str(at), NOTES) for at in range(6)]
    outcomes = Local([Slot({"DEVICE": "a"}), Slot({"DEVICE": "b"})], lambda text: None)(tasks)
    assert [one.task.name for one in outcomes] == [one.name for one in tasks]
    spans = {"a": [], "b": []}
    for one in tasks:
        device, began, ended = one.log.read_text().split()
        spans[device].append((float(began), float(ended)))
    assert all(spans.values())
    for own in map(sorted, spans.values()):
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(own))


def test_what_fails_is_told_and_stops_no_other_and_what_is_preempted_goes_on(tmp_path):
    again = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); n = p.exists(); p.touch(); sys.exit(0 if n else 143)"
    noisy = "print('step 1\\rstep 2'); print('error: no such backbone'); print('bye'); raise SystemExit(2)"
    said = []
    tasks = [
        task(tmp_path, "fails", noisy),
        task(tmp_path, "again", again, tmp_path / "seen"),
        task(tmp_path, "killed", "import os; os.kill(os.getpid(), 9)"),
        task(tmp_path, "works", "print('hello')"),
    ]
    outcomes = Local([Slot({})], said.append)(tasks)
    assert [(one.code, one.failed) for one in outcomes] == [(2, True), (0, False), (-9, True), (0, False)]
    assert outcomes[0].why == "error: no such backbone"
    assert outcomes[2].why == "it said nothing"
    assert "fails: failed with 2 (error: no such backbone; " in said[0]


def test_an_error_of_an_earlier_attempt_is_not_told_of_a_later_one(tmp_path):
    for code in ("print('error: no such backbone'); raise SystemExit(2)", "import os; os.kill(os.getpid(), 9)"):
        (found,) = Local([Slot({})], lambda text: None)([task(tmp_path, "one", code)])
    assert (found.code, found.why) == (-9, "it said nothing")
    assert "no such backbone" in found.task.log.read_text()


def test_an_interrupt_ends_the_processes(tmp_path, monkeypatch):
    began = time.monotonic()
    pool = Local([Slot({})])
    monkeypatch.setattr("learner_jax.sweep.local.outcome", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pool([task(tmp_path, "short", "pass"), task(tmp_path, "long", "import time; time.sleep(60)")])
    assert time.monotonic() - began < 30


def test_cores_are_shared_out_and_gpus_given_one_by_one(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3, 4})
    assert [slot.cores for slot in slots(2)] == [[0, 2, 4], [1, 3]]
    assert slots(0) == [Slot({})]
    with pytest.raises(InputError, match="two runs are never on one device; cores here: 5"):
        slots(6)
    monkeypatch.setenv("JAX_PLATFORMS", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert devices.visible_gpus() == ["3", "5"]
    assert [slot.environment for slot in slots(0)] == [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "5"}]
    with pytest.raises(InputError, match="GPUs here: 2"):
        slots(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,-1,5")  # CUDA takes those before the first that is none
    assert devices.visible_gpus() == ["3"]
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert devices.visible_gpus() == []
    monkeypatch.setattr(devices, "tpus", lambda: True)
    with pytest.raises(InputError, match="one process takes all TPUs of a host"):
        slots(2)


@dataclasses.dataclass(frozen=True)
class Counted(Slot):
    """A slot that knows what was started in it."""

    started: list = dataclasses.field(default_factory=list)

    def start(self, command, **options):
        self.started.append(list(command))
        return super().start(command, **options)


def of_the_package(tmp_path, name, *arguments):
    return Task(name, [sys.executable, "-m", "learner_jax.evaluate", *arguments], tmp_path / f"{name}.log")


def test_a_slot_keeps_its_process_until_a_task_fails_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    slot, worker = Counted({}), [sys.executable, "-m", "learner_jax.sweep.worker"]
    tasks = [
        of_the_package(tmp_path, "first", "--help"),
        of_the_package(tmp_path, "second", "--help"),
        of_the_package(tmp_path, "fails", "--workdir", str(tmp_path / "nothing")),
        of_the_package(tmp_path, "third", "--help"),
        task(tmp_path, "other", "print('hello')"),
    ]
    outcomes = Local([slot], lambda text: None)(tasks)
    assert [one.code for one in outcomes] == [0, 0, 2, 0, 0]
    assert slot.started == [worker, worker, list(tasks[-1].command)]
    assert "is not a run and has none in it" in outcomes[2].why
    for name in ("first", "second", "third"):
        assert "Score the checkpoints of a run" in (tmp_path / f"{name}.log").read_text(), "each says it in its own log"
    assert (tmp_path / "other.log").read_text() == "hello\n"


def test_a_worker_ends_with_the_sweep_that_it_works_for(tmp_path):
    command = [sys.executable, "-m", "learner_jax.evaluate", "--workdir", str(tmp_path / "none"), "--follow"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-m", "learner_jax.sweep.worker"], cwd=ROOT, **pipes) as worker:
        print(json.dumps([command, str(tmp_path / "log")]), file=worker.stdin, flush=True)
        while not (tmp_path / "log").exists():
            assert worker.poll() is None
            time.sleep(0.05)
        worker.stdin.close()  # as the system does for a sweep that was killed
        try:
            assert worker.wait(30) == -signal.SIGTERM
        finally:
            worker.kill()


def test_a_slot_takes_what_it_has_the_program_of_and_then_what_no_other_has():
    a, b = Slot({"DEVICE": "a"}), Slot({"DEVICE": "b"})
    programs = ["x", "x", "y", "x", "y", "z"]
    waiting = Waiting([Task(str(at), [], Path(), program) for at, program in enumerate(programs)])
    of_a, of_b = waiting.of(a), waiting.of(b)
    taken = [next(one).name for one in (of_a, of_b, of_b, of_a, of_b, of_a)]
    assert taken == ["0", "2", "4", "1", "5", "3"]
    assert list(of_a) == list(of_b) == []
