"""Show where a run hangs: the stacks of all threads, once no step has ended for a long time."""

import faulthandler
import sys

SECONDS = 600.0  # evaluating 100,000 scans takes 251 s (November 2026), compiling a large net about as long


class Watchdog:
    """While entered, writes all stacks to stderr whenever another ``seconds`` have passed since the last call.

    It stops nothing: a run that is slow but not stuck continues.
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
