"""One trainer at a time in a work folder in a bucket: its owner keeps rewriting an object every few seconds."""

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tfds_builders.errors import InputError

BEAT = 10.0  # seconds between two signs of life
SILENT = 60.0  # seconds without one until the owner counts as dead


@contextlib.contextmanager
def lease(files: Any, path: str) -> Iterator[None]:
    """Hold the object ``path`` of an fsspec file system during the ``with`` block.

    The object is created on condition that it does not exist yet. If it does, its owner counts as dead when it has not
    changed for ``SILENT`` seconds by this machine's clock, so clocks need not agree. A trainer that was cut off for
    longer ends itself as soon as it sees that another has taken over.

    Raises:
      InputError: another trainer holds it (named in the message), or the bucket does not exist or is not writable.
    """
    mine = {"owner": f"process {os.getpid()} on {socket.gethostname()}", "id": uuid.uuid4().hex, "beat": 0}
    _take(files, path, mine)
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(files, path, mine, over), name="lease", daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        with contextlib.suppress(Exception):  # a lease left behind soon expires, and the run's own outcome matters more
            if _owner(files, path).get("id") == mine["id"]:
                files.rm_file(path)


def _take(files: Any, path: str, mine: dict[str, Any]) -> None:
    seen, since = {}, 0.0
    while True:
        try:
            return files.pipe_file(path, json.dumps(mine).encode(), mode="create")
        except FileExistsError:
            pass
        except (FileNotFoundError, PermissionError) as fault:  # other errors may be temporary
            raise InputError(f"{path} cannot be written ({type(fault).__name__}: {fault}); see --workdir") from fault
        other = _owner(files, path)
        if other and not seen:
            print(f"{path} is held by {other.get('owner')}; waiting {SILENT:.0f} s for a sign of life", flush=True)
            seen, since = other, time.monotonic()
        elif other and other != seen:
            raise InputError(
                f"another trainer works in {path.rpartition('/')[0]} ({other.get('owner')}). Wait for it, stop it, or "
                "use another --workdir"
            )
        elif other and time.monotonic() - since > SILENT:
            files.pipe_file(path, json.dumps(mine).encode())
            time.sleep(BEAT / 5)  # if several take it at once, the last writer wins
            seen, since = _owner(files, path), time.monotonic()
            if seen == mine:
                return
        time.sleep(BEAT / 10)


def _beat(files: Any, path: str, mine: dict[str, Any], over: threading.Event) -> None:
    while not over.wait(BEAT):
        with contextlib.suppress(Exception):  # an unreachable bucket may be back at the next beat
            other = _owner(files, path)
            if other and other.get("id") != mine["id"]:
                taken = f"{other.get('owner')} took {path} while this trainer was silent: it ends"
                print(taken, file=sys.stderr, flush=True)
                os._exit(1)
            mine["beat"] += 1
            files.pipe_file(path, json.dumps(mine).encode())


def _owner(files: Any, path: str) -> dict[str, Any]:
    try:
        return json.loads(files.cat_file(path))
    except FileNotFoundError:
        return {}
