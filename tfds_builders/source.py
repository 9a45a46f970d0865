"""What a dataset is built from: the cohort, the files it names, and the settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tfds_builders import cohort, cohort_csv, identity
from tfds_builders.readers import nifti
from tfds_builders.record import DatasetMeta

if TYPE_CHECKING:
    from tfds_builders.builder import FileBuilder, SimulatedBuilder

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Source:
    """What a dataset is built from. Table, rows and row keys are in record order."""

    table: pl.DataFrame  # deidentified; may have a split column
    rows: list[Row]  # what the builder reads scans from
    row_keys: list[str]  # for each row, a keyed digest of file and settings: equal keys mean equal records
    meta: DatasetMeta  # its fingerprint does not cover the pixels yet

    def key_of(self, rows: range) -> str:
        """A key for some of the rows: equal keys mean equal records."""
        return hashlib.sha256("".join(self.row_keys[rows.start : rows.stop]).encode()).hexdigest()


def of_files(
    builder: type[FileBuilder],
    options: Any,
    *,
    csv: Path,
    scores: tuple[str, ...],
    covariates: tuple[str, ...] = (),
    root: Path | None = None,
    allow_outside: bool = False,
    key: bytes,
) -> Source:
    """The source of a dataset of the scans that a cohort CSV names; ``key`` is the identity key.

    Raises:
      InputError: as :func:`tfds_builders.cohort_csv.read`.
    """
    frame = cohort_csv.read(csv, scores, covariates, allow_outside, root)
    rows = frame.select("line", "path").to_dicts()
    stamps = [json.dumps([row["path"], _stamp(Path(row["path"]))]) for row in rows]
    return _source(builder, options, frame, rows, stamps, key)


def of_nothing(builder: type[SimulatedBuilder], options: Any) -> Source:
    """The source of a simulated dataset, which needs no files."""
    frame, rows = builder.cohort(options)
    stamps = [str(i) for i in range(len(rows))]
    return _source(builder, options, frame, rows, stamps, identity.PUBLIC_KEY)


def _stamp(path: Path) -> list:
    """Size and modification time of a file, of both halves of a .hdr/.img pair, or of all files in a folder."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
    else:
        files = sorted(p for p in nifti.halves(path) if p.is_file())
    stats = [(file.name, file.stat()) for file in files]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _source(builder, options, frame: pl.DataFrame, rows: list[Row], stamps: list[str], key: bytes) -> Source:
    table = cohort.deidentify(frame, key)
    preprocessing = builder.preprocessing(options)
    shape, dtype = builder.shape(options), builder.dtype(options)
    what = json.dumps([builder.name, str(builder.VERSION), preprocessing, shape, dtype], sort_keys=True).encode()
    content = what + cohort.canonical_bytes(table)
    named = [column.split(".", 1) for column in table.columns if "." in column]
    scan_ids = table["scan_id"].to_list()
    row_keys = [
        identity.keyed_digest(key, what + f"{scan_id}{stamp}".encode())
        for scan_id, stamp in zip(scan_ids, stamps, strict=True)
    ]
    meta = DatasetMeta(
        name=builder.name,
        version=str(builder.VERSION),
        modality=builder.MODALITY,
        dtype=dtype,
        axis0=builder.AXIS0,
        scan_shape=shape,
        preprocessing=preprocessing,
        scores=tuple(name for kind, name in named if kind == "score"),
        covariates=tuple(name for kind, name in named if kind == "covariate"),
        key_fingerprint=identity.fingerprint(key),
        fingerprint=hashlib.sha256(what + cohort.canonical_bytes(table.drop("split", strict=False))).hexdigest(),
        inputs=identity.keyed_digest(key, content + "".join(row_keys).encode()),
        n_scans=table.height,
    )
    return Source(table, rows, row_keys, meta)
