"""The folder of a dataset: written beside its place, moved there when it is complete."""

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tfds_builders import cohort, splits
from tfds_builders.builder import Row, ScanBuilder
from tfds_builders.errors import InputError
from tfds_builders.record import MARKER, DatasetMeta


@dataclasses.dataclass(frozen=True)
class Source:
    """What a dataset is to be built from."""

    table: pl.DataFrame  # deidentified, in record order; may have a split column
    rows: list[Row]  # what the builder reads, in the same order
    meta: DatasetMeta  # its fingerprint does not hold the pixels yet


def write(builder: type[ScanBuilder], source: Source, options: Any, processes: int, scratch: Path) -> Path:
    """Write a complete dataset below ``scratch``; the marker comes last.

    Returns:
      Its folder.
    """
    split = splits.make(source.table)
    splits.check(source.table["patient"].to_list(), split)
    writer = builder(
        rows=source.rows,
        scan_ids=source.table["scan_id"].to_list(),
        meta=source.meta,
        options=options,
        processes=processes,
        data_dir=str(scratch),
    )
    folder = writer.write_shards()
    cohort.write_table(source.table, folder)
    writer.meta.write(folder)
    splits.write(folder, split)
    (folder / MARKER).write_text(writer.meta.fingerprint + "\n", encoding="ascii")
    return folder


def is_built(data_dir: Path, meta: DatasetMeta, overwrite: bool) -> bool:
    """Whether ``data_dir`` holds this dataset already, so that there is nothing to do.

    Raises:
      InputError: it holds something else that is not to be overwritten; what is no dataset never is.
    """
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        return False
    if not (data_dir / MARKER).is_file():
        raise InputError(f"{data_dir} exists and is not a dataset; choose another --data_dir, or remove it yourself")
    if overwrite:
        return False
    if DatasetMeta.read(data_dir).inputs == meta.inputs:
        return True
    raise InputError(
        f"{data_dir} holds a dataset built from other files or with other settings; build over it with --overwrite, or "
        "choose another --data_dir"
    )


@contextlib.contextmanager
def beside(data_dir: Path) -> Iterator[Path]:
    """A folder on the same filesystem as ``data_dir``, which is gone afterwards whatever happens.

    Raises:
      InputError: nothing can be written there.
    """
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{data_dir.name}.building-", dir=data_dir.parent))
    except OSError as error:
        raise InputError(f"{data_dir} cannot be written ({error.strerror}); choose another --data_dir") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def move(built: Path, data_dir: Path, scratch: Path) -> None:
    """Put the folder ``built`` in the place of ``data_dir``; what was there stays if that fails."""
    replaced = scratch / "replaced"
    if data_dir.exists():
        data_dir.rename(replaced)
    try:
        built.rename(data_dir)
    except BaseException:
        if replaced.exists():
            replaced.rename(data_dir)
        raise
