"""SIGTERM -> a flag that the loop reads between steps, the same on every process."""

import contextlib
import signal
from collections.abc import Iterator
from types import TracebackType

import jax
from jax.experimental import multihost_utils

EXIT_CODE = 143  # what a launcher must answer by starting the same command again


class Preempted(Exception):
    """The run was told to stop and has committed a checkpoint; the same command goes on from there."""


class Preemption:
    """While entered, SIGTERM no longer kills; :meth:`requested` tells that it came."""

    def __init__(self) -> None:
        self._flag = self._at_once = False

    def __enter__(self) -> "Preemption":
        self._alone = jax.process_count() == 1  # else the handler stays that JAX's service has in place
        self._before = signal.signal(signal.SIGTERM, self._note) if self._alone else None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._alone:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, *_: object) -> None:
        self._flag = True
        if self._at_once:
            raise Preempted("stopped in an evaluation, which comes again")

    def requested(self, step: int) -> bool:
        """Whether to stop after ``step``; all processes of a run hear the same answer for the same step."""
        return self._flag if self._alone else multihost_utils.reached_preemption_sync_point(step)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, SIGTERM ends what is done: for what takes long and changes nothing. Several processes finish
        it all the same, for they must stop at one place.

        Raises:
          Preempted: SIGTERM comes, or came before.
        """
        self._at_once = True
        try:
            if self._flag:
                self._note()
            yield
        finally:
            self._at_once = False
