"""IXI: brain MRI of 600 healthy people at three hospitals, once each."""

import dataclasses
import re
from pathlib import Path
from typing import ClassVar

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some


@dataclasses.dataclass
class Ixi:
    """Files IXI012-HH-1211-T1….nii.gz and the table IXI.xls. Score: age in years."""

    dataset: ClassVar[str] = "brain_volumes"

    table: str = ""  # found where it is called IXI.xls
    view: str = "T1"  # which of the sequences T1, T2, PD, MRA to take

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        table = tables.find(root, self.table, r"IXI\.xlsx?", "--table")
        found = Found([])
        ages = _ages(tables.read(table, ("IXI_ID", "AGE"), "--table"), found)
        pattern = rf"IXI(\d+)-([A-Za-z]+)-\d+-{re.escape(self.view)}(?![A-Za-z0-9]).*\.nii(?:\.gz)?"
        for path, match in some(list(files(root, pattern)), root, f"IXI*-{self.view}.nii.gz"):
            person, site = match.groups()
            if int(person) not in ages:
                found.notes["scans of people without a row in the table are unlabeled"] += 1
            score = {"age": ages.get(int(person))}
            found.rows.append(
                Row(path, f"IXI{person}", time_days=0.0, view=self.view, source="ixi", site=site, scores=score)
            )
        here = {int(row.patient.removeprefix("IXI")) for row in found.rows}
        found.notes["people of the table have no scan here"] += len(ages.keys() - here)
        return found


def _ages(rows: tables.Table, found: Found) -> dict[int, float | None]:
    """Age by the person's number; None where two rows disagree, since it is unknown which is right."""
    ages: dict[int, set[float]] = {}
    for row in rows:
        person, age = tables.number(row["IXI_ID"]), tables.number(row["AGE"])
        if person is not None:
            ages.setdefault(int(person), set()).update([] if age is None else [round(age, 2)])
    found.notes["people of the table have rows that disagree in age, which is then unknown"] += sum(
        len(known) > 1 for known in ages.values()
    )
    found.notes["people of the table have no age"] += sum(not known for known in ages.values())
    return {person: known.pop() if len(known) == 1 else None for person, known in ages.items()}
