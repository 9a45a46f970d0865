"""Run decoders that may crash on damaged files in a process of their own.

GDCM 3.2.6 aborts on 3 % of damaged JPEG and JPEG 2000 streams (125 of 4,000, 2026-11).
"""

import concurrent.futures
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from tfds_builders.pool import end_with_the_parent
from tfds_builders.readers.api import TooLarge, UnreadableScan
from tfds_builders.readers.limits import Limits

Result = TypeVar("Result")

_lock = threading.Lock()  # one call at a time, so that it is known which file broke the process
_pool: concurrent.futures.ProcessPoolExecutor | None = None


def call(path: Path | str, limits: Limits, function: Callable[..., Result], *args: object) -> Result:
    """Call ``function(*args)`` in another process, which the first call starts and later calls reuse.

    Args:
      path: of the scan, for the error.
      function: importable; it, ``args`` and its result must be picklable.

    Raises:
      UnreadableScan: the process crashed. TooLarge: the call took longer than ``limits.seconds``. Whatever ``function``
        raises is passed on.
    """
    global _pool
    with _lock:
        if _pool is None:
            spawn = multiprocessing.get_context("spawn")
            _pool = concurrent.futures.ProcessPoolExecutor(1, spawn, initializer=end_with_the_parent)
        future = _pool.submit(function, *args)
        try:
            return future.result(limits.seconds)
        except BrokenProcessPool as error:
            _stop()
            raise UnreadableScan(path, "is damaged: its decoder breaks down on it") from error
        except concurrent.futures.TimeoutError as error:
            _stop()
            raise TooLarge(path, f"takes more than {limits.seconds:g} s to decode") from error


def _stop() -> None:
    global _pool
    for process in list((_pool._processes or {}).values()):
        process.kill()
    _pool.shutdown(wait=False, cancel_futures=True)
    _pool = None
