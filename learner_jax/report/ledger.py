"""The whole wall time of one process, by what it went into."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

ACCOUNTS = {
    "start": "start-up, until the first step begins",
    "compile": "compiling the step",
    "input": "waiting for the next batch",
    "steps": "steps",
    "checkpoint": "checkpoints, as far as they block",
    "evaluation": "evaluation",
    "other": "other",
}


class Ledger:
    """Accounts of time, of which exactly one is open at any moment, so that they add up to the wall time.

    Only the host's clock is read, never a device. A step is dispatched and computed later, so ``steps`` is what remains
    of the loop: dispatching, and waiting for the metrics of the previous step, which is where the host waits for a
    slower device. Before opening an account for something that waits for the device (a checkpoint, an evaluation), read
    the metrics of the newest step, or its computation counts there. Compiling an evaluation counts as evaluation. An
    asynchronous checkpoint slows down the steps computed meanwhile, which is not accounted for.

    Args:
      began: when the process began, by ``clock``; None means now.
      clock: seconds; replaced in tests.
    """

    def __init__(self, began: float | None = None, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._open, self._since = "start", clock() if began is None else began
        self._spent = dict.fromkeys(ACCOUNTS, 0.0)

    def seconds(self) -> dict[str, float]:
        """Seconds spent so far, by account."""
        self._turn_to(self._open)
        return dict(self._spent)

    @contextlib.contextmanager
    def on(self, account: str, then: str | None = None) -> Iterator[None]:
        """Book the time of the block on ``account``; afterwards open ``then``, or what was open before."""
        before = self._turn_to(account)
        try:
            yield
        finally:
            self._turn_to(then or before)

    @contextlib.contextmanager
    def leaving(self, account: str, resource: contextlib.AbstractContextManager[T]) -> Iterator[T]:
        """Enter ``resource``, and book the time that leaving it takes on ``account``."""
        try:
            with resource as entered:
                try:
                    yield entered
                finally:
                    self._turn_to(account)
        finally:
            self._turn_to("other")

    def waited(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches. Waiting is booked on ``input``; for the first, while the pipeline fills, on ``start``."""
        iterator, account = iter(batches), "start"
        while True:
            with self.on(account):
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
            account = "input"
            yield batch

    def _turn_to(self, account: str) -> str:
        now = self._clock()
        self._spent[self._open] += now - self._since
        before, self._open, self._since = self._open, account, now
        return before
