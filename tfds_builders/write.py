"""Write a complete dataset: shards, cohort table, splits, report, card and, last of all, the marker."""

import dataclasses
import hashlib
import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl

from tfds_builders import card, cohort, splits
from tfds_builders.builder import ScanBuilder
from tfds_builders.dataset_dir import Work
from tfds_builders.errors import InputError
from tfds_builders.record import MARKER, DatasetMeta
from tfds_builders.shards import Note
from tfds_builders.source import Source
from tfds_builders.wording import plural

REPORT_FILE = "build_report.json"


@dataclasses.dataclass(frozen=True)
class How:
    """How a build goes about its work."""

    processes: int = 1
    max_bad_fraction: float = 0.0
    beam: Any = None  # PipelineOptions; None: without Apache Beam

    def max_bad(self, n_scans: int) -> int:
        """How many of ``n_scans`` may be left out."""
        return math.floor(self.max_bad_fraction * n_scans + 1e-6)  # 0.29 * 100 is 28.999999999999996


def dataset(builder: type[ScanBuilder], source: Source, options: Any, how: How, work: Work) -> Path:
    """Write a complete dataset below ``work``.

    Returns:
      Its folder.

    Raises:
      InputError: more scans are unusable than ``how`` allows, or all are.
    """
    writer = builder(
        source=source,
        options=options,
        work=work.shards,
        max_bad=how.max_bad(len(source.rows)),
        data_dir=str(work.dataset),
    )
    folder, notes = writer.write_with_beam(how.beam) if how.beam else writer.write_here(how.processes)
    kept = [row for note in notes for row in note.rows]
    if not kept:
        raise InputError("no scan can be used: nothing was written")
    table = source.table[kept]
    meta = _complete(source.meta, notes, len(kept))
    duplicates = _duplicates([pixels for note in notes for pixels in note.pixels])
    _warn([source.rows[row]["line"] for row in kept], table, duplicates)
    split = splits.make(table, duplicates=duplicates)
    splits.check(table["patient"].to_list(), split, duplicates)
    cohort.write_table(table, folder)
    meta.write(folder)
    splits.write(folder, split)
    _dump(folder / splits.DUPLICATES_FILE, duplicates)
    _dump(folder / REPORT_FILE, _report(source, notes, duplicates))
    card.write(folder, meta, table, split)
    (folder / MARKER).write_text(meta.fingerprint + "\n", encoding="ascii")
    return folder


def _complete(meta: DatasetMeta, notes: list[Note], n_scans: int) -> DatasetMeta:
    """The metadata with the number of scans, and with the pixels of all records folded into the fingerprint."""
    records = "".join(record for note in notes for record in note.records)
    fingerprint = hashlib.sha256((meta.fingerprint + records).encode()).hexdigest()
    return dataclasses.replace(meta, fingerprint=fingerprint, n_scans=n_scans)


def _duplicates(pixels: list[str]) -> list[list[int]]:
    """Groups of record rows whose stored pixels are identical."""
    groups = defaultdict(list)
    for row, digest in enumerate(pixels):
        groups[digest].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _report(source: Source, notes: list[Note], duplicates: list[list[int]]) -> dict[str, Any]:
    """What was left out and why, by row number and scan id: paths must not leave the source."""
    ids = source.table["scan_id"].to_list()
    return {
        "n_rows": len(source.rows),
        "n_scans": sum(len(note.rows) for note in notes),
        "refused": [
            {
                "row": refusal.row,
                "line": source.rows[refusal.row]["line"],
                "scan_id": ids[refusal.row],
                "error": refusal.error,
                "reason": refusal.reason,
            }
            for note in notes
            for refusal in note.refused
        ],
        "identical_pixels": duplicates,
    }


def _warn(lines: list[int], table: pl.DataFrame, duplicates: list[list[int]]) -> None:
    patients, visits = table["patient"].to_numpy(), table["visit"].to_numpy()
    across = [rows for rows in duplicates if len(set(patients[rows])) > 1]
    within = [rows for rows in duplicates if len(set(patients[rows])) == 1 and len(set(visits[rows])) > 1]
    for where, so, groups in (
        ("under different patients", "no split may part these patients", across),
        ("in different visits of a patient", "these scans show no change", within),
    ):
        for rows in groups[:5]:
            on = ", ".join(str(lines[row]) for row in rows)
            print(f"warning: identical pixels {where}: lines {on} of the cohort", file=sys.stderr)
        if groups:
            print(
                f"warning: {plural(len(groups), 'picture')} {where} in all; {so}, and {splits.DUPLICATES_FILE} lists "
                "the pictures",
                file=sys.stderr,
            )


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
