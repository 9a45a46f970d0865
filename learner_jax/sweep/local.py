"""Runs on this machine: one process for each, as many at once as there are slots."""

import queue
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from learner_jax.sweep.devices import Slot
from learner_jax.sweep.task import PREEMPTED, Outcome, Task, outcome

_RESTARTS = 20  # of a run that was preempted, which then goes on from the checkpoint that it committed


class Local:
    """A pool of processes.

    Args:
      slots: where they run.
      say: is told of each that has ended.
    """

    def __init__(self, slots: Sequence[Slot], say: Callable[[str], None] = print):
        self._slots: queue.Queue[Slot] = queue.Queue()
        for slot in slots:
            self._slots.put(slot)
        self._workers, self._say = len(slots), say
        self._running: set[subprocess.Popen] = set()
        self._stopped = threading.Event()

    def __call__(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Run all of them; one that fails stops no other.

        A ``KeyboardInterrupt`` ends the processes that run; the same command goes on from their checkpoints.
        """
        with ThreadPoolExecutor(max(1, self._workers)) as pool:
            waiting = [pool.submit(self._run, task) for task in tasks]
            try:
                return [one.result() for one in waiting]
            except BaseException:
                self._stopped.set()
                for one in waiting:
                    one.cancel()
                for process in list(self._running):
                    process.terminate()
                raise

    def _run(self, task: Task) -> Outcome:
        slot, began = self._slots.get(), time.monotonic()
        try:
            task.log.parent.mkdir(parents=True, exist_ok=True)
            code = PREEMPTED
            for _ in range(_RESTARTS):
                if self._stopped.is_set() or code != PREEMPTED:
                    break
                with task.log.open("ab") as log:
                    process = slot.start(task.command, stdout=log, stderr=subprocess.STDOUT)
                    self._running.add(process)
                    if self._stopped.is_set():  # between the look at it above and the start
                        process.terminate()
                    code = process.wait()
                    self._running.discard(process)
        finally:
            self._slots.put(slot)
        found = outcome(task, code, time.monotonic() - began)
        if not self._stopped.is_set():
            self._say(str(found))
        return found
