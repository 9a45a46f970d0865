"""Map a function over many scans in several processes: in order, and with few results in memory at a time."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tfds_builders.errors import InputError

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """``map(function, items)`` in ``processes`` processes; results come in the order of the items.

    With ``processes=1`` everything runs in this process. Otherwise ``function`` is called in fresh interpreters, so it
    must be importable.

    Raises:
      InputError: a process was killed. Whatever ``function`` raises is passed on.
    """
    if processes == 1:
        yield from map(function, items)
        return
    # Not forked: polars and FFmpeg have threads, and a fork would copy locks that they hold.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each():
        pool = concurrent.futures.ProcessPoolExecutor(processes, context, initializer=end_with_the_parent)
        waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 4 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise InputError(
                "one of the processes that read scans was killed, perhaps because memory ran out; run the same command "
                f"with fewer than --processes {processes}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Give processes that start in this block one BLAS thread each; two each, on two cores, took 3 times as long."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def end_with_the_parent() -> None:
    """Initializer for the processes of a pool: ignore Ctrl-C, which the parent handles, and exit with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_the_parent, daemon=True).start()


def _wait_for_the_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # the parent was killed: nobody will ask for anything again


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
