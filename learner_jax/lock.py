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
from learner_jax.distributed import agreed, alone, check_same, first
from learner_jax.lease import lease
from tfds_builders.errors import InputError

_NAME = "lock"
_VISIBLE = 30.0  # seconds until a host sees what another wrote: NFS keeps the attributes of folders for 30 (man 5 nfs)
_SHARE = "Give all the same --workdir, on a disk that all hosts share, or gs://BUCKET/FOLDER"


@contextlib.contextmanager
def only_trainer(workdir: Path) -> Iterator[None]:
    """Hold ``workdir/lock`` during the ``with`` block.

    The system releases it when the process dies, in whatever way. In a bucket it is a :func:`lease`. The first process
    of a run holds it for all, and the others wait until it does.

    Raises:
      InputError: another process holds it (named in the message), the folder cannot be written or its file system has
        no locks, or the processes of the run do not write to the same one.
    """
    with _held(workdir) if first() else contextlib.nullcontext():
        _check_shared(workdir)
        yield


def _check_shared(workdir: Path) -> None:
    """Refuse folders of several hosts: each would get a part of every checkpoint, and none could be restored.

    A host may mount the folder under another name, so not its path is compared, but what the first process wrote there.
    """
    if alone():
        return
    if bucket.is_remote(workdir):
        check_same({"--workdir": str(workdir)}, "workdir")
        return
    theirs, deadline = agreed(_holder(workdir)), time.monotonic() + _VISIBLE
    while (seen := _holder(workdir)) != theirs and time.monotonic() < deadline:
        time.sleep(0.2)
    check_same({f"the holder of {_NAME} in --workdir": seen}, "workdir", _SHARE)


def _holder(workdir: Path) -> str:
    try:
        return (workdir / _NAME).read_text().strip()
    except OSError:
        return "nobody"


@contextlib.contextmanager
def _held(workdir: Path) -> Iterator[None]:
    if bucket.is_remote(workdir):
        with lease(bucket.files_of(workdir), f"{workdir}/lock"):
            yield
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file = (workdir / _NAME).open("a+")
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
        except OSError as fault:  # Lustre has locks only where it is mounted with flock
            raise InputError(
                f"{workdir} lies on a file system without locks (flock: {fault.strerror}), where a second trainer "
                "could not be refused; have it mounted with them, or use another --workdir"
            ) from fault
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        file.flush()
        os.fsync(file.fileno())  # other hosts look for it
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
