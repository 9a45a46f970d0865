"""Where a run hangs: the stacks of all threads, once no step has ended for long."""

import faulthandler
import sys

SECONDS = 600.0  # an evaluation of 100,000 scans takes 251 s (November 2026), a large net as long to compile


class Watchdog:
    """While entered, writes all stacks to stderr when ``seconds`` have gone since the last call, and again as often.

    It ends nothing: what is slow and not stuck goes on.
    """

    def __init__(self, seconds: float = SECONDS):
        self._seconds = seconds

    def __enter__(self) -> "Watchdog":
        self()
        return self

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()

    def __call__(self, *_: object) -> None:
        """A step has ended."""
        faulthandler.dump_traceback_later(self._seconds, repeat=True, file=sys.__stderr__)
