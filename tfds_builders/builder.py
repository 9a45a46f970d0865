"""What the TFDS builders of all datasets share; one of them says only what it reads and how it prepares pixels."""

import abc
import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import progress, record
from tfds_builders.errors import InputError
from tfds_builders.pool import ordered_map
from tfds_builders.record import DatasetMeta, Record

Row = dict[str, Any]

_WORTH_A_PROCESS = 32  # scans; starting one takes as long as reading about 50 clips (2026-11)


class ScanBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes the records of a cohort in the order of its table.

    Args:
      rows: what :meth:`read` needs of each scan, in record order.
      scan_ids: keyed hashes, in the same order.
      meta: of the dataset, its fingerprint still open; complete after building.
      options: values of :attr:`OPTIONS`.
      processes: that read files at the same time; the shards are the same bytes for any number.
      **kwargs: of TFDS.
    """

    MODALITY: ClassVar[str]
    AXIS0: ClassVar[str]
    OPTIONS: ClassVar[type]  # dataclass whose fields are the flags of this dataset in build.py
    READS_FILES: ClassVar[bool] = True  # False: the cohort comes from the builder itself
    EXAMPLE: ClassVar[str]  # a command for --help

    def __init__(
        self, *, rows: list[Row], scan_ids: list[str], meta: DatasetMeta, options: Any, processes: int = 1, **kwargs
    ):
        self._rows, self._scan_ids, self._options, self._processes = rows, scan_ids, options, processes
        self._meta = meta
        self._pixels = hashlib.sha256()
        super().__init__(file_format="array_record", **kwargs)

    @staticmethod
    @abc.abstractmethod
    def shape(options: Any) -> tuple[int, int, int, int]:
        """``t h w c`` of every record."""

    @staticmethod
    @abc.abstractmethod
    def preprocessing(options: Any) -> dict[str, Any]:
        """All that is done to the pixels, in words and numbers that JSON can hold."""

    @staticmethod
    @abc.abstractmethod
    def read(row: Row, options: Any) -> Record:
        """One scan as it is stored; depends on nothing else, so that any process may do it.

        Raises:
          InputError: the file cannot be used, and why.
        """

    @staticmethod
    def probe(row: Row) -> None:
        """Say early and cheaply that :meth:`read` would fail; what passes may still turn out to be damaged.

        Raises:
          InputError: as :meth:`read`.
        """

    @classmethod
    def records(cls, rows: list[Row], options: Any, processes: int) -> Iterator[Record | InputError]:
        """Records in the order of the rows; a scan that cannot be used is returned as its error."""
        return ordered_map(_Read(cls, options), rows, min(processes, 1 + len(rows) // _WORTH_A_PROCESS))

    @property
    def meta(self) -> DatasetMeta:
        """Of the dataset; with the digest of all pixels folded into the fingerprint once they are written."""
        return dataclasses.replace(self._meta, fingerprint=_fold(self._meta.fingerprint, self._pixels.hexdigest()))

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self, description=self.__doc__, features=record.features(self._meta), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {record.SPLIT: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        scans = self.records(self._rows, self._options, self._processes)
        for key, scan in enumerate(progress.track(scans, len(self._rows), self.name)):
            if isinstance(scan, InputError):
                raise InputError(f"{scan}\nnothing was written; list every such scan with --check")
            self._pixels.update(scan.digest())
            yield key, scan.example(self._scan_ids[key])

    def write_shards(self) -> Path:
        """Write shards and TFDS metadata below ``data_dir``, without what TFDS prints.

        Returns:
          The folder that holds them.
        """
        tfds.disable_progress_bar()
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        with contextlib.redirect_stdout(io.StringIO()):
            self.download_and_prepare(download_config=config)
        return Path(self.data_path)


@dataclasses.dataclass(frozen=True)
class _Read:
    """Calls a builder's ``read``, which is importable in another process where the builder itself is not."""

    builder: type[ScanBuilder]
    options: Any

    def __call__(self, row: Row) -> Record | InputError:
        return attempt(lambda: self.builder.read(row, self.options), row)


def attempt(action: Callable[[], Any], row: Row) -> Any:
    """The result of an action on one scan, or its error with the line of the cohort CSV in front."""
    try:
        return action()
    except InputError as error:
        return type(error)(f"line {row['line']}: {error}")


def _fold(*digests: str) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Sampling:
    """What is stored of each scan of a dataset that reads files: the largest that a backbone will ask for."""

    frames: int = 16  # frames or slices stored of each scan, evenly spread from its first to its last
    size: int = 112  # height and width stored, in pixels

    def __post_init__(self):
        for name, least in (("frames", 1), ("size", 8)):
            if getattr(self, name) < least:
                raise InputError(f"--{name} is {getattr(self, name)}; it must be at least {least}")
