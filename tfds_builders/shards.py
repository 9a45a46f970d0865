"""Records in shards, each finished on its own: a build that was stopped goes on with the first unfinished one.

A finished shard lies in the work folder beside the dataset's place, with a note that says which rows it was made from.
One shard depends on its own rows alone, so one process, many, and Apache Beam write the same bytes.
"""

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.proto import tf_example_pb2

from tfds_builders import record
from tfds_builders.readers.api import ScanError
from tfds_builders.record import Record

_BYTES = 64 << 20  # of pixels; TFDS holds one shard in memory while it writes it
_MOST = 512  # shards: a reader keeps a file open for each, and 1024 is a common limit
COMPRESSION = "zstd"  # of ArrayRecord, unless told otherwise


def ranges(n_scans: int, scan_bytes: int) -> list[range]:
    """Rows of each shard: about 64 MiB of pixels, but never more than 512 shards."""
    size = max(1, _BYTES // scan_bytes, math.ceil(n_scans / _MOST))
    return [range(start, min(start + size, n_scans)) for start in range(0, n_scans, size)]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A scan that could not be used."""

    row: int  # of the cohort as it was given
    error: str  # class of the error
    reason: str  # as in ScanError


@dataclasses.dataclass(frozen=True)
class Note:
    """What is in a finished shard, in record order."""

    key: str  # of the rows, files and settings that it was made from
    rows: tuple[int, ...]  # of the cohort as it was given
    records: tuple[str, ...]  # sha256 over all that is stored of a scan, except its name
    pixels: tuple[str, ...]  # sha256 over its pixels alone
    refused: tuple[Refusal, ...]

    @classmethod
    def read(cls, path: Path) -> "Note | None":
        """The note at ``path``, or None where there is none that can be read."""
        try:
            values = json.loads(path.read_text(encoding="ascii"))
            refused = tuple(Refusal(**refusal) for refusal in values.pop("refused"))
            return cls(**{k: v if k == "key" else tuple(v) for k, v in values.items()}, refused=refused)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Store the note, whole or not at all."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(dataclasses.asdict(self)), encoding="ascii")
        os.replace(part, path)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One shard: called by TFDS for the examples that it is to hold.

    Where the shard is finished already nothing is read: what it yields then is only counted.
    """

    file: Path  # where the finished shard lies in the work folder
    rows: range
    scan_ids: list[str]
    key: str
    scans: Callable[[], Iterator[Record | ScanError]]

    @property
    def note(self) -> Note | None:
        """Of the finished shard; None while there is none of this key."""
        note = Note.read(self._note_file)
        return note if note and note.key == self.key and self.file.exists() else None

    @property
    def n_refused(self) -> int:
        """Scans left out of the finished shard."""
        return len(self.note.refused) if self.note else 0

    @property
    def slice(self) -> slice:
        """Of the cohort's rows."""
        return slice(self.rows.start, self.rows.stop)

    @property
    def _note_file(self) -> Path:
        return self.file.with_name(self.file.name + ".json")

    def discard_other(self) -> None:
        """Remove what is in the shard's place and was made from something else."""
        if not self.note:
            self.file.unlink(missing_ok=True)

    def __call__(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        note = self.note
        if note:
            yield from ((row, None) for row in note.rows)
            return
        kept, refused = [], []
        for row, scan_id, scan in zip(self.rows, self.scan_ids, self.scans(), strict=True):
            if isinstance(scan, ScanError):
                refused.append(Refusal(row, type(scan).__name__, scan.reason))
                continue
            kept.append((row, *scan.digests()))
            yield row, scan.example(scan_id)
        rows, records, pixels = zip(*kept, strict=True) if kept else ((), (), ())
        Note(self.key, rows, records, pixels, tuple(refused)).write(self._note_file)


class KeepingWriter(tfds.core.ExampleWriter):
    """Writes a shard into the work folder, and from there into the dataset; a finished one is only taken over."""

    def __init__(self, work: Path):
        super().__init__(file_format=FileFormat.ARRAY_RECORD)
        self._work = work

    def write(self, path: os.PathLike, examples: Iterator[tuple[int, bytes]]) -> None:
        """Called by TFDS with the shard's place in the dataset."""
        kept = self._work / Path(path).name
        if not kept.exists():
            part = kept.with_name(kept.name + ".part")
            super().write(part, ((key, _in_order(example)) for key, example in examples))
            os.replace(part, kept)
        try:
            os.link(kept, path)
        except OSError:  # a filesystem without hard links
            shutil.copyfile(kept, path)


def _in_order(example: bytes) -> bytes:
    """The same example with its features in the order of their names: protobuf's own differs between processes."""
    return tf_example_pb2.Example.FromString(example).SerializeToString(deterministic=True)


def file_name(builder: str, index: int, total: int) -> str:
    """As TFDS names shards: ``<builder>-scans.array_record-00000-of-00001``."""
    return f"{builder}-{record.SPLIT}.array_record-{index:05d}-of-{total:05d}"
