"""Records of a built dataset, by row, and what is wrong with those that cannot be used."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """In the place of a record that cannot be used."""

    reason: str  # names no path


class Records:
    """Random access to the records of a dataset folder; record index = cohort row.

    Args:
      folder: of a built dataset.
      scan_ids: of the cohort's rows. A record under another name is a shard from elsewhere.
    """

    def __init__(self, folder: Path | str, scan_ids: Sequence[str]):
        import tensorflow_datasets as tfds  # half a second, and only those who read records need it

        self._source = tfds.builder_from_directory(str(folder)).as_data_source("scans")
        self._scan_ids = scan_ids
        self._unreadable: dict[int, Unreadable] = {}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: Int[np.ndarray, " b"]) -> list[dict[str, Any] | Unreadable]:
        """Records of the given rows, in that order; see ``tfds_builders.record.features`` for what each holds.

        One that is damaged makes a read of many fail as a whole, so they are then read one by one. That is a second
        try as well: what fails in it stays unreadable for this process.
        """
        rows = rows.tolist()
        known = [self._unreadable.get(row) for row in rows]  # once: other threads add to them meanwhile
        hopeful = [row for row, lost in zip(rows, known, strict=True) if lost is None]
        try:
            records = self._source.__getitems__(hopeful)
        except MemoryError:
            raise
        except Exception:  # of Riegeli RuntimeError, of protobuf DecodeError, of TFDS ValueError
            records = [self._one(row) for row in hopeful]
        following = map(self._checked, hopeful, records)
        return [next(following) if lost is None else lost for lost in known]

    def _one(self, row: int) -> dict[str, Any] | Unreadable:
        try:
            return self._source[row]
        except MemoryError:
            raise
        except Exception as fault:
            said = str(fault).partition("\n")[0]
            return Unreadable(said.partition("; ")[0].partition(" (")[0][:120] or type(fault).__name__)

    def _checked(self, row: int, record: dict[str, Any] | Unreadable) -> dict[str, Any] | Unreadable:
        reason = record.reason if isinstance(record, Unreadable) else fault(record, self._scan_ids[row])
        return self._unreadable.setdefault(row, Unreadable(reason)) if reason else record


def fault(record: dict[str, Any], scan_id: str) -> str:
    """What is wrong with a record that could be decoded, as checksums do not see it; empty where all is well.

    Args:
      record: as decoded.
      scan_id: that the cohort gives it.
    """
    scan = record["scan"]
    if (name := record["scan_id"].decode()) != scan_id:
        return f"holds the scan {name}"
    # float16: infinite and NaN are all that is as large as the bits of infinity (0.2 ms a volume of 96x112x96,
    # np.isfinite 3.5; November 2026)
    if scan.dtype == np.float16 and (scan.view(np.uint16) & 0x7FFF).max() >= 0x7C00:
        return "holds pixels that are not finite"
    return "" if np.isfinite([record["scale"], record["offset"]]).all() else "its scale or offset is not finite"
