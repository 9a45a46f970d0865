"""The POCUS lung ultrasound dataset: clips from many sources, mostly of patients who were seen once."""

import dataclasses
import re
from pathlib import Path
from typing import ClassVar

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some

_SUFFIXES = r"(.+)\.(?i:mp4|m4v|mov|mpe?g|avi|gif|mkv|webm|wmv)"


@dataclasses.dataclass
class Pocus:
    """Clips in folders convex and linear, and dataset_metadata.csv. Score: severity (0 to 3).

    Patient numbers are unique only within a source, so a patient is identified by both. Names that end with Day+1,
    Day+2 … are visits of one patient on consecutive days.
    """

    dataset: ClassVar[str] = "ultrasound_clips"

    table: str = ""  # found where its name holds "dataset_metadata"

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        table = tables.find(root, self.table, r".*dataset_metadata.*\.csv", "--table")
        columns = ("Filename", "Lung Severity Score", "Source ID", "Patient ID / Name", "Probe", "Age")
        told = {re.sub(r"\.\w{3,4}$", "", row["Filename"]): row for row in tables.read(table, columns, "--table")}
        found = Found([])
        for path, match in some(list(files(root, _SUFFIXES)), root, "clips"):
            row = told.pop(match[1], None)
            if row is None:
                found.notes["clips without a row in the table are left out: their patient is unknown"] += 1
                continue
            day = re.search(r"Day\+(\d+)$", match[1])
            since = int(day[1]) - 1 if day else 0
            found.rows.append(
                Row(
                    path,
                    match[1] if tables.is_blank(row["Patient ID / Name"]) else row["Patient ID / Name"],
                    visit=since,
                    time_days=float(since) if day else None,
                    view=row["Probe"].lower() or "unknown",
                    source=row["Source ID"],
                    scores={"severity": tables.number(row["Lung Severity Score"])},
                    covariates={"age": tables.number(row["Age"])},
                )
            )
        found.notes["rows of the table have no clip here"] += len(told)
        return found
