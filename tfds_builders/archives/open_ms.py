"""The open longitudinal MS dataset: brain MRI of people with multiple sclerosis on two dates."""

import dataclasses
from pathlib import Path
from typing import ClassVar

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some


@dataclasses.dataclass
class OpenMs:
    """Folders patient01 … with study1_FLAIR.nii.gz, study2_FLAIR.nii.gz … Score: age in years at the scan."""

    dataset: ClassVar[str] = "brain_volumes"

    table: str = ""  # found where its name holds "demographics"

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        table = tables.find(root, self.table, r".*demographics.*\.csv", "--table")
        columns = ("patient_id", "days_between_studies", "patient_age_at_first_study")
        people = {tables.number(row["patient_id"]): row for row in tables.read(table, columns, "--table")}
        found, seen = Found([]), set()
        for path, match in some(list(files(root, r"study([12])_(\w+)\.nii(?:\.gz)?")), root, "study*_*.nii.gz"):
            person = people.get(int(path.parent.name.removeprefix("patient"))) if _is_patient(path) else None
            if person is None:
                found.notes["scans of people without a row in the table are left out: their date is unknown"] += 1
                continue
            seen.add(person["patient_id"])
            between = tables.number(person["days_between_studies"])
            days = 0.0 if match[1] == "1" else between
            age = tables.number(person["patient_age_at_first_study"])
            at_scan = None if age is None or days is None else round(age + days / tables.YEAR, 3)
            visit = int(match[1])
            scores = {"age": at_scan}
            found.rows.append(Row(path, path.parent.name, visit, days, match[2], source="open_ms", scores=scores))
        found.notes["people of the table have no scan here"] += len({p["patient_id"] for p in people.values()} - seen)
        return found


def _is_patient(path: Path) -> bool:
    return path.parent.name.removeprefix("patient").isdecimal()
