"""SIGTERM -> a flag that the loop reads between steps, with the same answer on every process."""

import contextlib
import signal
from collections.abc import Iterator
from types import TracebackType

import jax
from jax.experimental import multihost_utils

EXIT_CODE = 143  # a launcher must respond to it by starting the same command again
_IN_AN_EVALUATION = "stopped during an evaluation, which will be repeated"


class Preempted(BaseException):
    """The run was asked to stop and has committed a checkpoint, from which the same command continues.

    Raised by the handler of a signal, so like KeyboardInterrupt no library's ``except Exception`` may swallow it.
    """


class Preemption:
    """While entered, SIGTERM does not kill the process; :meth:`requested` tells whether it came."""

    def __init__(self) -> None:
        self._flag = self._at_once = False
        self._asked = 0

    def __enter__(self) -> "Preemption":
        self._alone = jax.process_count() == 1  # otherwise the handler of JAX's service stays in place
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
        """Whether to stop here. All processes must ask equally often, and get the same answers."""
        if self._alone:
            return self._flag
        self._asked += 1  # after SIGTERM, JAX lets all stop at the number after the largest that any has reached
        return multihost_utils.reached_preemption_sync_point(self._asked)

    def between(self) -> None:
        """A point at which several processes can stop what they do :meth:`at_once`; all call it at the same points.

        Raises:
          Preempted: one of several processes got SIGTERM.
        """
        if self._at_once and not self._alone and self.requested():
            raise Preempted(_IN_AN_EVALUATION)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, SIGTERM interrupts at once: for work that takes long and changes nothing. Several processes
        are interrupted where they call :meth:`between`.

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
