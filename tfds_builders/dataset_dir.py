"""The folder of a dataset: built beside its final place and moved there once it is complete."""

import contextlib
import dataclasses
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tfds_builders.errors import InputError
from tfds_builders.record import MARKER, DatasetMeta
from tfds_builders.wording import plural


def is_built(data_dir: Path, meta: DatasetMeta, overwrite: bool, max_bad: int = 0) -> bool:
    """Whether ``data_dir`` already holds this dataset, so that there is nothing to do.

    Raises:
      InputError: it holds another dataset, or this one without more than ``max_bad`` of its scans, and ``overwrite`` is
        not set; or it holds something that is not a dataset, which is never overwritten.
    """
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        return False
    if not (data_dir / MARKER).is_file():
        raise InputError(f"{data_dir} exists and is not a dataset; choose another --data_dir, or remove it yourself")
    if overwrite:
        return False
    refuse_other(data_dir, DatasetMeta.read(data_dir), meta, max_bad)
    return True


def refuse_other(place: Path | str, found: DatasetMeta, wanted: DatasetMeta, max_bad: int) -> None:
    """Raise an InputError if ``place`` was built from other files or settings, or lacks more than ``max_bad`` scans."""
    if found.inputs != wanted.inputs:
        raise InputError(
            f"{place} holds a dataset built from other files or with other settings; build over it with --overwrite, "
            "or choose another --data_dir"
        )
    missing = wanted.n_scans - found.n_scans
    if missing > max_bad:
        raise InputError(
            f"{place} was built without {missing} of its {plural(wanted.n_scans, 'scan')}, and --max_bad_fraction "
            f"allows {max_bad}; allow more, or mend those in its build_report.json and build over it with --overwrite"
        )


@dataclasses.dataclass(frozen=True)
class Work:
    """The folder beside a dataset's final place in which it is built."""

    root: Path

    @property
    def shards(self) -> Path:
        """Finished shards, which outlive a build that is stopped."""
        return self.root / "shards"

    @property
    def dataset(self) -> Path:
        """The dataset until it is complete."""
        return self.root / "dataset"

    @property
    def replaced(self) -> Path:
        """The old dataset, while the new one takes its place."""
        return self.root / "replaced"


@contextlib.contextmanager
def work_folder(data_dir: Path) -> Iterator[Work]:
    """The work folder for building ``data_dir``, locked against other builds.

    It is removed afterwards, except for finished shards when the build fails or is stopped.

    Raises:
      InputError: ``data_dir`` cannot be written, is a mount point, lies inside another dataset, or is being built by
        another process.
    """
    if data_dir.is_mount():
        raise InputError(
            f"{data_dir} is a mount point, which a dataset cannot replace; name a folder in it with --data_dir, as in "
            f"{data_dir / 'dataset'}"
        )
    around = next((folder for folder in data_dir.parents if (folder / MARKER).is_file()), None)
    if around:
        raise InputError(
            f"{data_dir} lies inside the dataset {around}, and would be lost when that is built again; choose another "
            "--data_dir"
        )
    work = Work(data_dir.parent / f".{data_dir.name}.building")
    try:
        work.shards.mkdir(parents=True, exist_ok=True)
        lock = (work.root / "lock").open("w")
    except OSError as error:
        raise InputError(f"{data_dir} cannot be written ({error.strerror}); choose another --data_dir") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{data_dir} is being built by another process; wait for it, or stop it first") from error
        except OSError as error:  # Lustre has locks only where it is mounted with flock
            raise InputError(
                f"{data_dir} lies on a file system without locks (flock: {error.strerror}); have it mounted with them, "
                "or build elsewhere and move the dataset"
            ) from error
        if not os.fstat(lock.fileno()).st_nlink:
            raise InputError(
                f"{data_dir} was being built by another process, which has just ended; run the same command again"
            )
        shutil.rmtree(work.dataset, ignore_errors=True)  # left by a build that was killed
        if work.replaced.exists() and not data_dir.exists():  # killed between the two moves of move()
            work.replaced.rename(data_dir)
        shutil.rmtree(work.replaced, ignore_errors=True)
        try:
            yield work
        except BaseException:
            shutil.rmtree(work.dataset, ignore_errors=True)
            early = [note for note in work.shards.glob("*.json") if not note.with_suffix("").exists()]
            for part in [*work.shards.glob("*.part"), *early]:  # a note is written before its shard is whole
                part.unlink()
            kept = len(list(work.shards.glob("*.json")))
            if kept:
                told = f"{plural(kept, 'finished shard')} kept in {work.root}: the same command continues from there"
                print(told, file=sys.stderr)
            else:
                shutil.rmtree(work.root)
            raise
        shutil.rmtree(work.root)


def move(built: Path, data_dir: Path, work: Work) -> None:
    """Move the folder ``built`` to ``data_dir``; if that fails, what was there before is put back."""
    if data_dir.exists():
        data_dir.rename(work.replaced)
    try:
        built.rename(data_dir)
    except BaseException:
        if work.replaced.exists():
            work.replaced.rename(data_dir)
        raise
