"""Where a run does its work: its folder, or a local one that stands for a folder in a bucket.

A bucket has no rename, no append and no lock, but each of its objects is written whole. So checkpoints go there
directly, and everything else into the local folder, from which what changed is copied at each checkpoint and each
evaluation.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from learner_jax.bucket import files_of, is_remote, names
from learner_jax.distributed import first, meet

_NOT_COPIED = ("checkpoints/", "damaged/", "lock")
_LAST = "scores.json"  # what makes an evaluation complete


class Work:
    """The local folder ``local`` that stands for a work folder; ``push`` brings what changed to where it belongs."""

    def __init__(self, workdir: Any, local: Path):
        self._workdir, self.local = str(workdir), local
        self._remote = is_remote(workdir) and first()
        self._pushed: dict[str, tuple[int, int]] = {}
        if self._remote:
            self._files = files_of(workdir)
            for name in names(workdir):
                if not name.startswith(_NOT_COPIED):
                    (local / name).parent.mkdir(parents=True, exist_ok=True)
                    (local / name).write_bytes(self._files.cat_file(f"{self._workdir}/{name}"))
            self._pushed = self._marks()

    def push(self) -> None:
        """Have in the bucket what is in the local folder; for a folder of this machine there is nothing to do."""
        if not self._remote:
            return
        marks = self._marks()
        changed = [name for name, mark in marks.items() if self._pushed.get(name) != mark]
        for name in sorted(changed, key=lambda name: (name.endswith(_LAST), name)):
            self._files.pipe_file(f"{self._workdir}/{name}", (self.local / name).read_bytes())
        self._pushed = marks

    def _marks(self) -> dict[str, tuple[int, int]]:
        found = (path for path in self.local.rglob("*") if path.is_file())
        return {
            path.relative_to(self.local).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns) for path in found
        }


@contextlib.contextmanager
def working_in(workdir: Any) -> Iterator[Work]:
    """The local folder for a run in ``workdir``: itself, or one that is filled from the bucket and copied back a last
    time at the end, however it ends."""
    if not is_remote(workdir):
        yield Work(workdir, workdir)
        return
    with tempfile.TemporaryDirectory(prefix="learner_jax.", ignore_cleanup_errors=True) as folder:
        work = Work(workdir, Path(folder) / os.path.basename(str(workdir)))
        work.local.mkdir(exist_ok=True)
        meet("work folder")  # the first process may have much to copy, and a collective on a CPU waits 30 s
        try:
            yield work
        finally:
            work.push()
