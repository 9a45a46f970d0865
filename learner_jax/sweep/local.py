"""Runs on this machine: as many at a time as there are slots, each with a process that works through its runs."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from learner_jax.sweep import worker
from learner_jax.sweep.devices import Slot
from learner_jax.sweep.task import PREEMPTED, Outcome, Task, outcome, said

_RESTARTS = 20  # of a preempted run, which then continues from the checkpoint that it committed


class Local:
    """Launches tasks on this machine.

    Args:
      slots: where they run.
      say: called with a sentence on each task that has ended.
    """

    def __init__(self, slots: Sequence[Slot], say: Callable[[str], None] = print):
        self._slots, self._say = slots, say
        self._running: set[subprocess.Popen] = set()
        self._stopped = threading.Event()

    def __call__(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Do all tasks; one that fails does not stop the others.

        A ``KeyboardInterrupt`` ends the running processes; the same command continues from their checkpoints.
        """
        waiting, found = Waiting(tasks), {}
        with ThreadPoolExecutor(max(1, len(self._slots))) as pool:
            working = [pool.submit(self._work, slot, waiting, found) for slot in self._slots]
            try:
                for one in working:
                    one.result()
            except BaseException:
                self._stopped.set()
                for process in list(self._running):
                    process.terminate()
                raise
        return [found[task.name] for task in tasks]

    def _work(self, slot: Slot, waiting: "Waiting", found: dict[str, Outcome]) -> None:
        with contextlib.closing(_Place(slot, self._running, self._stopped)) as place:
            for task in waiting.of(slot):
                if self._stopped.is_set():
                    return
                began, since, code = time.monotonic(), said(task.log), PREEMPTED
                task.log.parent.mkdir(parents=True, exist_ok=True)
                for _ in range(_RESTARTS):
                    if self._stopped.is_set() or code != PREEMPTED:
                        break
                    code = place.do(task)
                found[task.name] = outcome(task, code, time.monotonic() - began, since)
                if not self._stopped.is_set():
                    self._say(str(found[task.name]))


class Waiting:
    """The queue of tasks. A slot first gets tasks whose programs it has compiled, then those that no slot has."""

    def __init__(self, tasks: Sequence[Task]):
        self._tasks, self._lock = list(tasks), threading.Lock()
        self._has: dict[str, list[Slot]] = {}  # program -> slots that have compiled it

    def of(self, slot: Slot) -> Iterator[Task]:
        """The tasks of a slot, one after the other, until none is left."""
        while True:
            with self._lock:
                if not self._tasks:
                    return
                task = min(self._tasks, key=lambda one: self._order(one, slot))
                self._tasks.remove(task)
                self._has.setdefault(task.program, []).append(slot)
            yield task

    def _order(self, task: Task, slot: Slot) -> int:
        having = self._has.get(task.program, [])
        return 0 if any(one is slot for one in having) else 1 if not having else 2


class _Place:
    """A slot and its worker process, which is replaced after a task has failed in it."""

    def __init__(self, slot: Slot, running: set[subprocess.Popen], stopped: threading.Event):
        self._slot, self._running, self._stopped = slot, running, stopped
        self._worker: subprocess.Popen | None = None

    def do(self, task: Task) -> int:
        """Do a task; returns the exit code of its command."""
        if not worker.takes(task.command):
            self.close()  # two processes are never on one device
            with task.log.open("ab") as log, self._started(task.command, stdout=log, stderr=log) as process:
                code = process.wait()
            self._running.discard(process)
            return code
        if self._worker is None:
            command = [sys.executable, "-m", "learner_jax.sweep.worker"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._worker = self._started(command, **pipes)
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps([list(task.command), str(task.log)]), file=self._worker.stdin, flush=True)
        answer = self._worker.stdout.readline()
        code = int(answer) if answer.strip() else self._worker.wait()
        if code:
            self.close()
        return code

    def close(self) -> None:
        """End the worker, if there is one."""
        if self._worker is not None:
            with contextlib.suppress(BrokenPipeError), self._worker:
                pass  # closes its pipes and waits
            self._running.discard(self._worker)
            self._worker = None

    def _started(self, command: Sequence[str], **options: object) -> subprocess.Popen:
        process = self._slot.start(command, **options)
        self._running.add(process)
        if self._stopped.is_set():  # it was stopped after the last check and before the start
            process.terminate()
        return process
