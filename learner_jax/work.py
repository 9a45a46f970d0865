"""Where a run writes: its work folder or, for one in a bucket, a local folder that is copied there.

A bucket has no rename, no append and no lock, but writes to an object are atomic. So checkpoints go there directly, and
everything else into a local folder, from which changed files are copied at each checkpoint and each evaluation.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from learner_jax.bucket import files_of, is_remote, names
from learner_jax.distributed import first, meet

_NOT_COPIED = ("checkpoints/", "damaged/", "lock")
_LAST = "scores.json"  # copied last, as it marks an evaluation as complete


class Work:
    """The local folder that stands for a work folder; it starts with what a remote one holds.

    Args:
      workdir: the work folder.
      local: the local folder; ``workdir`` itself if that is on this machine.
    """

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
        """Copy what changed to the bucket, from the first process; does nothing for a folder on this machine."""
        if not self._remote:
            return
        marks = self._marks()
        changed = [name for name, mark in marks.items() if self._pushed.get(name) != mark]
        for name in sorted(changed, key=lambda name: (name.endswith(_LAST), name)):
            with contextlib.suppress(FileNotFoundError):  # a tracker's own, such as the journal of its database
                self._files.pipe_file(f"{self._workdir}/{name}", (self.local / name).read_bytes())
        self._pushed = marks

    def set_aside(self, folders: Iterable[Path]) -> None:
        """Rename folders within the local one to ``NAME.old``, in the place of earlier ones of that name."""
        for folder in folders:
            old = folder.with_name(f"{folder.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            name = folder.relative_to(self.local).as_posix()
            if self._remote and self._files.exists(f"{self._workdir}/{name}"):
                self._files.rm(f"{self._workdir}/{name}", recursive=True)
            print(f"{name} is of a training before this one; it is now {name}.old")

    def _marks(self) -> dict[str, tuple[int, int]]:
        marks = {}
        for path in self.local.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG((about := path.stat()).st_mode):
                    marks[path.relative_to(self.local).as_posix()] = (about.st_size, about.st_mtime_ns)
        return marks


@contextlib.contextmanager
def working_in(workdir: Any) -> Iterator[Work]:
    """The local folder for a run in ``workdir``; one that stands for a bucket is copied there a last time at the end,
    however the run ends."""
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
