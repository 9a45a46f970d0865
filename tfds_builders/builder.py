"""What all TFDS builders share; a dataset's own builder says only what it reads and how it prepares the pixels."""

import abc
import contextlib
import dataclasses
import functools
import io
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import tensorflow_datasets as tfds

from tfds_builders import progress, record, shards
from tfds_builders.errors import InputError
from tfds_builders.pool import ordered_map
from tfds_builders.readers.api import ScanError
from tfds_builders.record import Record
from tfds_builders.shards import Note, Shard
from tfds_builders.source import Row, Source
from tfds_builders.wording import plural

_WORTH_A_PROCESS = 32  # scans; starting a process takes as long as reading about 50 clips (2026-11)


class ScanBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Writes the records of a cohort in the order of its table.

    Args:
      source: the cohort, and what :meth:`read` needs to know about each scan.
      options: an instance of :attr:`OPTIONS`.
      work: folder for finished shards, from which a later build can continue.
      max_bad: how many unusable scans may be left out.
      **kwargs: passed on to TFDS.
    """

    MODALITY: ClassVar[str]
    AXIS0: ClassVar[str]
    OPTIONS: ClassVar[type]  # a dataclass; its fields become the flags of this dataset in build.py
    EXAMPLE: ClassVar[str]  # a command shown by --help

    def __init__(self, *, source: Source, options: Any, work: Path, max_bad: int = 0, **kwargs: Any):
        self._source, self._options, self._work, self._max_bad = source, options, work, max_bad
        self._shards: list[Shard] = []
        super().__init__(file_format="array_record", **kwargs)

    @staticmethod
    @abc.abstractmethod
    def shape(options: Any) -> tuple[int, int, int, int]:
        """``t h w c`` of every record."""

    @staticmethod
    def dtype(options: Any) -> str:
        """Dtype of every record, one of ``record.DTYPES``."""
        return "uint8"

    @staticmethod
    @abc.abstractmethod
    def preprocessing(options: Any) -> dict[str, Any]:
        """Everything that is done to the pixels, as JSON-compatible words and numbers."""

    @staticmethod
    @abc.abstractmethod
    def read(row: Row, options: Any) -> Record:
        """Read one scan and prepare it as it is stored. Depends on its arguments alone, so any process may do it.

        Raises:
          ScanError: the scan cannot be used; the reason says why.
        """

    @classmethod
    def records(cls, rows: list[Row], options: Any, processes: int = 1) -> Iterator[Record | ScanError]:
        """Records in the order of the rows; where a scan cannot be used, its error takes the record's place."""
        read = functools.partial(_read_or_error, cls, options)
        return ordered_map(read, rows, min(processes, 1 + len(rows) // _WORTH_A_PROCESS))

    def _info(self) -> tfds.core.DatasetInfo:
        return _Info(
            builder=self, description=self.__doc__, features=record.features(self._source.meta), disable_shuffling=True
        )

    def _example_writer(self) -> tfds.core.ExampleWriter:
        return shards.KeepingWriter(self._work)

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict[str, list[Shard]]:
        return {record.SPLIT: self._shards}

    def write_here(self, processes: int = 1) -> tuple[Path, list[Note]]:
        """Write shards and TFDS metadata below ``data_dir``, reading files in ``processes`` processes.

        The shards are the same bytes for any number of processes.

        Returns:
          The folder that holds them, and a note on each shard.

        Raises:
          InputError: more than ``max_bad`` scans cannot be used. Finished shards stay in ``work``.
        """
        plan = self._plan()
        rows = [row for shard in plan if not shard.note for row in self._source.rows[shard.slice]]
        # One stream for all shards, so that the pool does not idle between two of them.
        scans = progress.track(self.records(rows, self._options, processes), len(rows), self.name)
        with contextlib.closing(scans):
            stream = self._refuse_too_many(zip(rows, scans, strict=True), sum(s.n_refused for s in plan))
            self._shards = [
                dataclasses.replace(shard, scans=functools.partial(itertools.islice, stream, len(shard.rows)))
                for shard in plan
            ]
            written = self._write(tfds.download.DownloadConfig(try_download_gcs=False))
            next(stream, None)  # exhausts it, which shows the progress for the last time
            return written

    def write_with_beam(self, options: Any) -> tuple[Path, list[Note]]:
        """Like :meth:`write_here`, as an Apache Beam pipeline with one task per shard.

        Args:
          options: ``apache_beam.options.pipeline_options.PipelineOptions``. All workers must see ``work`` and the
            scans under the same paths.
        """
        self._shards = self._plan()
        runner = options.get_all_options()["runner"] or "DirectRunner"
        config = tfds.download.DownloadConfig(try_download_gcs=False, beam_runner=runner, beam_options=options)
        folder, notes = self._write(config)
        refused = [refusal for note in notes for refusal in note.refused]
        if len(refused) > self._max_bad:
            rows = [self._source.rows[refusal.row] for refusal in refused]
            told = [
                f"line {row['line']}: {row['path']} {refusal.reason}"
                for row, refusal in zip(rows, refused, strict=True)
            ]
            raise _too_many(told, self._max_bad)
        for scratch in folder.glob("*.shard_infos.json"):  # left behind by TFDS's pipeline
            scratch.unlink()
        return folder, notes

    def _plan(self) -> list[Shard]:
        source = self._source
        ranges = shards.ranges(len(source.rows), source.meta.scan_bytes)
        plan = [
            Shard(
                file=self._work / shards.file_name(self.name, i, len(ranges)),
                rows=rows,
                scan_ids=source.table["scan_id"].to_list()[rows.start : rows.stop],
                key=source.key_of(rows),
                scans=functools.partial(self.records, source.rows[rows.start : rows.stop], self._options),
            )
            for i, rows in enumerate(ranges)
        ]
        for shard in plan:
            shard.discard_other()
        return plan

    def _write(self, config: tfds.download.DownloadConfig) -> tuple[Path, list[Note]]:
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):
            self.download_and_prepare(download_config=config)
        return Path(self.data_path), [shard.note for shard in self._shards]

    def _refuse_too_many(
        self, scans: Iterator[tuple[Row, Record | ScanError]], n_bad: int
    ) -> Iterator[Record | ScanError]:
        for row, scan in scans:
            if isinstance(scan, ScanError):
                n_bad += 1
                told = f"line {row['line']}: {scan}"
                if n_bad > self._max_bad:
                    raise _too_many([told], self._max_bad)
                print(f"left out: {told}", file=sys.stderr)
            yield scan


class FileBuilder(ScanBuilder, skip_registration=True):
    """Builds from scans in files, which a cohort CSV names."""

    @staticmethod
    @abc.abstractmethod
    def probe(row: Row, options: Any) -> None:
        """Find out early and cheaply that :meth:`read` would fail; a scan that passes may still prove damaged.

        Raises:
          ScanError: as :meth:`read`.
        """

    @staticmethod
    @abc.abstractmethod
    def options_of(preprocessing: dict[str, Any], shape: tuple[int, int, int, int], dtype: str) -> Any:
        """Recover the options behind a dataset from its metadata, so that more scans can be prepared alike.

        The caller checks that they do reproduce it. From another builder's ``preprocessing`` it takes the entries that
        both have.
        """


class SimulatedBuilder(ScanBuilder, skip_registration=True):
    """Builds from simulated scans; it simulates their cohort too."""

    @staticmethod
    @abc.abstractmethod
    def cohort(options: Any) -> tuple[pl.DataFrame, list[Row]]:
        """The cohort as ``cohort_csv.read`` would return it, and what :meth:`read` needs to know about each scan."""


class _Info(tfds.core.DatasetInfo):
    def initialize_from_bucket(self) -> None:
        """Do nothing: TFDS's bucket has none of our datasets, and looking there leaves a folder in /tmp (4.9.10)."""


def _read_or_error(builder: type[ScanBuilder], options: Any, row: Row) -> Record | ScanError:
    try:
        return builder.read(row, options)
    except ScanError as error:
        return error


def _too_many(told: list[str], max_bad: int) -> InputError:
    allowed = f"{plural(max_bad, 'scan')} may be left out (--max_bad_fraction)" if max_bad else "none may be left out"
    advice = "list every such scan with --check, or let some be left out with --max_bad_fraction"
    return InputError("\n".join([*told, f"{allowed}: nothing was written; {advice}"]))
