"""Runs on this machine: as many at once as there are slots, each slot with a process that works through its runs."""

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

_RESTARTS = 20  # of a run that was preempted, which then goes on from the checkpoint that it committed


class Local:
    """A pool of processes.

    Args:
      slots: where they run.
      say: is told of each task that has ended.
    """

    def __init__(self, slots: Sequence[Slot], say: Callable[[str], None] = print):
        self._slots, self._say = slots, say
        self._running: set[subprocess.Popen] = set()
        self._stopped = threading.Event()

    def __call__(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Do all of them; one that fails stops no other.

        A ``KeyboardInterrupt`` ends the processes that run; the same command goes on from their checkpoints.
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
    """Tasks that nobody does yet. A slot is given those first whose programs it has, then those that no other has."""

    def __init__(self, tasks: Sequence[Task]):
        self._tasks, self._lock = list(tasks), threading.Lock()
        self._has: dict[str, list[Slot]] = {}  # program -> the slots that have it

    def of(self, slot: Slot) -> Iterator[Task]:
        """One task after the other, until none is left."""
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
    """A slot and the worker that lives there, until a task fails in it: the next one has a fresh process."""

    def __init__(self, slot: Slot, running: set[subprocess.Popen], stopped: threading.Event):
        self._slot, self._running, self._stopped = slot, running, stopped
        self._worker: subprocess.Popen | None = None

    def do(self, task: Task) -> int:
        """The exit code of the task's command."""
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
        """End the worker."""
        if self._worker is not None:
            with contextlib.suppress(BrokenPipeError), self._worker:
                pass  # closes its pipes and waits
            self._running.discard(self._worker)
            self._worker = None

    def _started(self, command: Sequence[str], **options: object) -> subprocess.Popen:
        process = self._slot.start(command, **options)
        self._running.add(process)
        if self._stopped.is_set():  # between the look at it and the start
            process.terminate()
        return process
