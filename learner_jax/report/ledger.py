"""The wall time of one process, all of it, by what it went into."""

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
    """At any moment one account is open, so that their sum is the wall time. The host's clock alone is read, no device.

    A step is dispatched and computed later, so ``steps`` is what is left of the loop: dispatching, and waiting for the
    metrics of the step before, which is where the host meets a device that is slower than it. Whoever opens another
    account for something that waits for the device (a checkpoint, an evaluation) reads the metrics of the newest step
    first, lest its computing counts as theirs. Compiling an evaluation counts as evaluation. An asynchronous write of a
    checkpoint slows the steps down beside it, and that shows nowhere.

    Args:
      began: when the process did, by ``clock``; None: now.
      clock: seconds; replaced in tests.
    """

    def __init__(self, began: float | None = None, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._open, self._since = "start", clock() if began is None else began
        self._spent = dict.fromkeys(ACCOUNTS, 0.0)

    def seconds(self) -> dict[str, float]:
        """Spent until now, by account."""
        self._turn_to(self._open)
        return dict(self._spent)

    @contextlib.contextmanager
    def on(self, account: str, then: str | None = None) -> Iterator[None]:
        """The time of the block goes to ``account``, and afterwards to ``then`` or to what was open before."""
        before = self._turn_to(account)
        try:
            yield
        finally:
            self._turn_to(then or before)

    @contextlib.contextmanager
    def leaving(self, account: str, resource: contextlib.AbstractContextManager[T]) -> Iterator[T]:
        """Enter ``resource``; the time of leaving it goes to ``account``."""
        try:
            with resource as entered:
                try:
                    yield entered
                finally:
                    self._turn_to(account)
        finally:
            self._turn_to("other")

    def waited(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches; waiting for one goes to ``input``, for the first one to ``start``: the pipeline fills."""
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
