"""Run trackers beside the training, so that whatever they do, or fail to do, does not affect the run."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from learner_jax.config import Config
from learner_jax.preemption import Preempted
from learner_jax.report.trackers.api import Run, Tracker, about, chosen

WAIT = 60.0  # seconds that trackers get at the end of a run to send what they have
PREEMPTED_WAIT = 5.0  # likewise if the run was asked to stop: a cluster kills it after 30 s
_MOST = 10_000  # lines in the queue of a tracker; a server that hangs must not fill the memory
_UNPLOTTED = {"trail"}  # tells rows apart; it is not a quantity


class Sent:
    """A tracker in a thread of its own. If anything goes wrong, the user is told once and the tracker is dropped.

    Args:
      name: of the tracker, for the user.
      opens: returns the tracker; called in the thread too, because it may have to log in somewhere.
      say: shows a sentence to the user.
      steps: of the whole run.
    """

    def __init__(self, name: str, opens: Callable[[], Tracker], say: Callable[[str], None], steps: int):
        self._name, self._say, self._steps = name, say, steps
        self._lines: queue.Queue[tuple[int, dict[str, float]] | None] = queue.Queue(_MOST)
        self._dropped = False
        # A daemon, so that a tracker that hangs does not keep the process alive.
        self._thread = threading.Thread(target=self._work, args=(opens,), name=f"tracker {name}", daemon=True)
        self._thread.start()

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Queue the finite values of a step; returns at once."""
        if self._dropped:
            return
        finite = {
            name: float(value)
            for name, value in values.items()
            if value is not None and math.isfinite(value) and name not in _UNPLOTTED
        }
        try:
            self._lines.put_nowait((step, finite))
        except queue.Full:
            self._drop(f"{_MOST} lines are waiting for it")

    def end(self) -> None:
        """Queue the end; returns at once."""
        with contextlib.suppress(queue.Full):  # then it hangs, and join() drops it
            self._lines.put_nowait(None)

    def join(self, seconds: float, allowed: float = WAIT) -> None:
        """Wait until everything is sent, but at most so many seconds, what is left of those allowed."""
        self._thread.join(0 if self._dropped else seconds)
        if self._thread.is_alive():
            self._drop(f"it has not finished {allowed:.0f} s after the end")

    def _work(self, opens: Callable[[], Tracker]) -> None:
        tracker, finished = None, False
        try:
            while (line := self._lines.get()) is not None and not self._dropped:
                tracker = tracker or opens()  # not opened for a run that has nothing to send
                tracker.write(*line)
                finished |= line[0] == self._steps
            if tracker is not None:
                tracker.close(finished)
        except BaseException as fault:  # even a library that calls sys.exit must not end the run
            self._drop(f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}")

    def _drop(self, why: str) -> None:
        if not self._dropped:
            self._dropped = True
            self._say(f"tracker {self._name} failed: {why}; training goes on without it")


@contextlib.contextmanager
def opened(config: Config, workdir: Path, start: int, say: Callable[[str], None]) -> Iterator[list[Sent]]:
    """The trackers that the config names, for a process that continues from step ``start``.

    Raises:
      InputError: as :func:`chosen` does.
    """
    run = Run(workdir, start, about(config))
    kinds = chosen(config.trackers).items()
    trackers = [Sent(name, lambda kind=kind: kind.open(run), say, config.steps) for name, kind in kinds]
    wait = WAIT
    try:
        yield trackers
    except Preempted:
        wait = PREEMPTED_WAIT
        raise
    finally:
        for tracker in trackers:
            tracker.end()
        deadline = time.monotonic() + wait
        for tracker in trackers:
            tracker.join(max(0.0, deadline - time.monotonic()), wait)
