"""A work folder in a bucket, ``--workdir=gs://lab/run``.

A bucket has no rename, no append and no lock, but each of its objects is written whole. So checkpoints go there
directly, and for everything else a local folder stands, from which what changed is copied at each checkpoint and each
evaluation.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

from learner_jax.distributed import first
from tfds_builders.errors import InputError

_NOT_COPIED = ("checkpoints/", "damaged/", "lock")
_LAST = "scores.json"  # what makes an evaluation complete


def place(text: str) -> Path | epath.Path:
    """A folder on this machine, or one in a bucket of Google Cloud Storage.

    Raises:
      InputError: it is in a place of another kind, or what buckets need is not installed.
    """
    if not is_remote(text):
        return Path(text)
    if not text.startswith("gs://") or len(text.rstrip("/").split("/")) < 4:
        raise InputError(
            f"{text} cannot be a work folder; possible are a folder, also one of a mounted bucket, and "
            "gs://BUCKET/FOLDER. Change --workdir"
        )
    try:
        files_of(text)
    except ImportError as fault:
        raise InputError(f"{text} needs a package: pip install '.[gcs]'") from fault
    return epath.Path(text.rstrip("/"))


def local(text: str) -> Path:
    """A folder on this machine, for commands that only read.

    Raises:
      InputError: it is in a bucket.
    """
    if is_remote(text):
        raise InputError(
            f"{text} is in a bucket, where only the trainer works. Copy it first (gcloud storage cp -r {text} .), or "
            "mount the bucket (gcsfuse), and name the folder"
        )
    return Path(text)


def is_remote(folder: Any) -> bool:
    """Whether a place has a scheme, as in ``gs://lab/run``."""
    return "://" in str(folder)


def files_of(folder: Any) -> Any:
    """The file system of a remote folder, which remembers no listing: Tensorstore and others write there too."""
    import fsspec

    return fsspec.core.url_to_fs(str(folder), use_listings_cache=False)[0]


def names(folder: Any) -> list[str]:
    """Paths of all objects within a remote folder, sorted."""
    files = files_of(folder)
    root = files._strip_protocol(str(folder)).rstrip("/") + "/"
    return sorted(name.removeprefix(root) for name in files.find(root.rstrip("/")))


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
        try:
            yield work
        finally:
            work.push()
