"""Records in shards, each finished on its own: a build that was stopped continues with the first unfinished one.

A finished shard lies in the work folder beside the dataset's final place, with a note on the rows it was made from. A
shard depends on its own rows alone, so one process, many processes and Apache Beam write the same bytes.
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

_BYTES = 64 << 20  # of pixels in a shard; TFDS holds a whole shard in memory while writing it
_MOST = 512  # shards: a reader keeps a file open for each, and 1024 is a common limit
COMPRESSION = "zstd"  # of ArrayRecord, unless told otherwise


def ranges(n_scans: int, scan_bytes: int) -> list[range]:
    """The rows of each shard: about 64 MiB of pixels, or more where there would be over 512 shards."""
    size = max(1, _BYTES // scan_bytes, math.ceil(n_scans / _MOST))
    return [range(start, min(start + size, n_scans)) for start in range(0, n_scans, size)]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A scan that could not be used."""

    row: int  # index in the cohort as given
    error: str  # name of the error's class
    reason: str  # as in ScanError


@dataclasses.dataclass(frozen=True)
class Note:
    """What a finished shard holds, in record order."""

    key: str  # digest of the rows, files and settings it was made from
    rows: tuple[int, ...]  # indices in the cohort as given
    records: tuple[str, ...]  # of each scan, the sha256 of all that is stored except its scan_id
    pixels: tuple[str, ...]  # of each scan, the sha256 of its pixels
    refused: tuple[Refusal, ...]

    @classmethod
    def read(cls, path: Path) -> "Note | None":
        """The note at ``path``; None where there is none, or none that can be read."""
        try:
            values = json.loads(path.read_text(encoding="ascii"))
            refused = tuple(Refusal(**refusal) for refusal in values.pop("refused"))
            return cls(**{k: v if k == "key" else tuple(v) for k, v in values.items()}, refused=refused)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Store the note, either whole or not at all."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(dataclasses.asdict(self)), encoding="ascii")
        os.replace(part, path)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One shard; TFDS calls it for the examples that the shard will hold.

    Where the shard is already finished no scan is read, and empty examples are yielded, which TFDS only counts.
    """

    file: Path  # where the finished shard lies in the work folder
    rows: range
    scan_ids: list[str]
    key: str
    scans: Callable[[], Iterator[Record | ScanError]]

    @property
    def note(self) -> Note | None:
        """The note of the finished shard; None until there is a finished shard with this key."""
        note = Note.read(self._note_file)
        return note if note and note.key == self.key and self.file.exists() else None

    @property
    def n_refused(self) -> int:
        """Scans left out of the finished shard."""
        return len(self.note.refused) if self.note else 0

    @property
    def slice(self) -> slice:
        """``rows``, to slice lists of the cohort's rows."""
        return slice(self.rows.start, self.rows.stop)

    @property
    def _note_file(self) -> Path:
        return self.file.with_name(self.file.name + ".json")

    def discard_other(self) -> None:
        """Remove a file in the shard's place that was made from something else."""
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
    """Writes a shard into the work folder and links it into the dataset; a finished shard is only linked."""

    def __init__(self, work: Path):
        super().__init__(file_format=FileFormat.ARRAY_RECORD)
        self._work = work

    def write(self, path: os.PathLike, examples: Iterator[tuple[int, bytes]]) -> None:
        """Called by TFDS with the path of the shard in the dataset."""
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
    """The same example with its features sorted by name: protobuf's own order differs between processes."""
    return tf_example_pb2.Example.FromString(example).SerializeToString(deterministic=True)


def file_name(builder: str, index: int, total: int) -> str:
    """The name that TFDS gives to a shard: ``<builder>-scans.array_record-00000-of-00001``."""
    return f"{builder}-{record.SPLIT}.array_record-{index:05d}-of-{total:05d}"
