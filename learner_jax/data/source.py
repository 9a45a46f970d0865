"""Records of a built dataset by row, and what is wrong with those that cannot be used."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Stands for a record that cannot be used."""

    reason: str  # contains no path


class Records:
    """Random access to the records of a dataset folder; record index = cohort row.

    Args:
      folder: of a built dataset.
      scan_ids: of the cohort's rows. A record with another one is unusable: its shard belongs to another dataset.
    """

    def __init__(self, folder: Path | str, scan_ids: Sequence[str]):
        import tensorflow_datasets as tfds  # takes half a second, and only reading records needs it

        self._source = tfds.builder_from_directory(str(folder)).as_data_source("scans")
        self._scan_ids = scan_ids
        self._unreadable: dict[int, Unreadable] = {}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: Int[np.ndarray, " b"]) -> list[dict[str, Any] | Unreadable]:
        """Records of the given rows, in that order; see ``tfds_builders.record.features`` for what each holds.

        A damaged record makes the read of all of them fail. They are then read again one by one, and one that fails
        this second time counts as unreadable from then on.
        """
        rows = rows.tolist()
        known = [self._unreadable.get(row) for row in rows]  # looked up once, as other threads may add to them
        hopeful = [row for row, lost in zip(rows, known, strict=True) if lost is None]
        try:
            records = self._source.__getitems__(hopeful)
        except MemoryError:
            raise
        except Exception:  # RuntimeError from Riegeli, DecodeError from protobuf, ValueError from TFDS
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
    """What is wrong with a decoded record that its checksums do not detect; empty if nothing.

    Args:
      record: as decoded.
      scan_id: of its row in the cohort.
    """
    scan = record["scan"]
    if (name := record["scan_id"].decode()) != scan_id:
        return f"holds the scan {name}"
    # Infinite or NaN: without the sign, the bits are at least those of infinity. This takes 0.2 ms for a volume of
    # 96x112x96, np.isfinite 3.5 (November 2026).
    if scan.dtype == np.float16 and (scan.view(np.uint16) & 0x7FFF).max() >= 0x7C00:
        return "holds pixels that are not finite"
    return "" if np.isfinite([record["scale"], record["offset"]]).all() else "its scale or offset is not finite"
