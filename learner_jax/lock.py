"""One trainer at a time in a work folder."""

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from learner_jax import bucket
from learner_jax.distributed import agreed, first
from learner_jax.lease import lease
from tfds_builders.errors import InputError


@contextlib.contextmanager
def only_trainer(workdir: Path) -> Iterator[None]:
    """Hold ``workdir/lock`` during the ``with`` block.

    The system releases it when the process dies, in whatever way. In a bucket it is a :func:`lease`. The first process
    of a run holds it for all, and the others wait until it does.

    Raises:
      InputError: another process holds it (named in the message), or the folder cannot be written.
    """
    if not first():
        agreed(None)
        yield
        return
    with _held(workdir):
        agreed("held")
        yield


@contextlib.contextmanager
def _held(workdir: Path) -> Iterator[None]:
    if bucket.is_remote(workdir):
        with lease(bucket.files_of(workdir), f"{workdir}/lock"):
            yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / "lock").open("a+")
    except OSError as fault:
        if fault.errno == errno.ENOSPC:  # exit_code has a sentence for a full disk
            raise
        raise InputError(f"{workdir} cannot be written ({fault.strerror}); see --workdir") from fault
    with file:
        try:
            _take(file.fileno())
        except BlockingIOError as fault:
            file.seek(0)
            raise InputError(
                f"another trainer works in {workdir} ({file.read().strip() or 'it has just begun'}). Wait for it, stop "
                "it, or use another --workdir"
            ) from fault
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def _take(file: int) -> None:
    """Lock the file, trying for a moment: ``python -m learner_jax.status`` locks it briefly to see whether it is held.

    Raises:
      BlockingIOError: another process holds it.
    """
    for _ in range(4):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.05)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
