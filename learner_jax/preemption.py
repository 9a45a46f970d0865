"""SIGTERM -> a flag that the loop reads between steps, the same on every process."""

import contextlib
import signal
from collections.abc import Iterator
from types import TracebackType

import jax
from jax.experimental import multihost_utils

EXIT_CODE = 143  # what a launcher must answer by starting the same command again
_IN_AN_EVALUATION = "stopped in an evaluation, which comes again"


class Preempted(Exception):
    """The run was told to stop and has committed a checkpoint; the same command goes on from there."""


class Preemption:
    """While entered, SIGTERM no longer kills; :meth:`requested` tells that it came."""

    def __init__(self) -> None:
        self._flag = self._at_once = False
        self._asked = 0

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
            raise Preempted(_IN_AN_EVALUATION)

    def requested(self, _step: int = 0) -> bool:
        """Whether to stop here; all processes of a run, which ask equally often, hear the same answer."""
        if self._alone:
            return self._flag
        self._asked += 1  # the place at which JAX lets all stop is the next number after that of who came furthest
        return multihost_utils.reached_preemption_sync_point(self._asked)

    def between(self) -> None:
        """Called at the same places by all processes of what is done :meth:`at_once`: several can only end it there.

        Raises:
          Preempted: SIGTERM has come to one of several.
        """
        if self._at_once and not self._alone and self.requested():
            raise Preempted(_IN_AN_EVALUATION)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, SIGTERM ends what is done: for what takes long and changes nothing. Of several processes it
        does where they call :meth:`between`.

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
