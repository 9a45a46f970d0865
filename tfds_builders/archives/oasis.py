"""OASIS-1 (one visit), OASIS-2 (visits of older people) and OASIS-3 (many visits, in BIDS)."""

import dataclasses
import re
from pathlib import Path
from typing import ClassVar, Literal

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some

_SESSION = re.compile(r"(OAS[12]_\d{4})_MR(\d+)")
_IMAGES = {  # the preferred pattern first
    "processed": (r".*_t88_masked_gfc\.hdr", r".*_t88_gfc\.hdr", r".*mpr-1.*\.(?:hdr|nii|nii\.gz)"),
    "raw": (r".*mpr-1.*\.(?:hdr|nii|nii\.gz)",),
}
_CLINICAL = {"mmse": ("mmse",), "cdr": ("cdr", "cdrtot")}  # score -> its column in the tables of OASIS-3
_THIRD = r"sub-(OAS3\d{4})_(?:ses|sess)-d(\d{4})(?:_run-(\d+))?.*_T1w\.nii(?:\.gz)?"


@dataclasses.dataclass
class Oasis:
    """The release is told by the names: OAS1_, OAS2_ or sub-OAS3. Scores: mmse, cdr; covariate: age.

    OASIS-1 and 2 are Analyze files, whose headers do not say where their axes run: --check and the build take that from
    --orientation. In OASIS-3 a scan takes the scores of the examination nearest in time.
    """

    dataset: ClassVar[str] = "brain_volumes"
    for_build: ClassVar[tuple[str, ...]] = ("orientation",)

    table: str = ""  # of sessions (OASIS-1 and 2) or clinical examinations (OASIS-3); by default found by its name
    prefer: Literal["processed", "raw"] = "processed"  # image of a session: in atlas space and masked, or as scanned
    within_days: int = 365  # most days between a scan of OASIS-3 and the examination that its scores come from
    orientation: str = ""  # of the voxel axes of OASIS-1 and 2, such as RAS or LAS, for --check and the build

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        third = list(files(root, _THIRD))
        if third:
            return self._third(root, third)
        table = tables.find(root, self.table, r"oasis.*\.(?:csv|xlsx?)", "--table")
        rows = tables.read(table, (), "--table")
        id_column = next((name for name in ("MRI ID", "ID") if rows and name in rows[0]), "MRI ID")
        told = {row[id_column]: row for row in tables.read(table, (id_column, "MMSE", "CDR", "Age"), "--table")}
        images = some(sorted(self._images(root).items()), root, "OAS1_*_MR* or OAS2_*_MR* with images (--prefer)")
        found = Found([])
        for session, path in images:
            row = told.pop(session, {})
            if not row:
                found.notes["sessions without a row in the table are unlabeled"] += 1
            patient, visit = _SESSION.fullmatch(session).groups()
            atlas = "t88" in path.name
            found.rows.append(
                Row(
                    path,
                    patient,
                    int(visit),
                    _delay(row, int(visit)),
                    "T1",
                    source=patient[:4],
                    processing=("atlas+masked" if "masked" in path.name else "atlas") if atlas else "raw",
                    scores={name: tables.number(row.get(name.upper(), "")) for name in ("mmse", "cdr")},
                    covariates={"age": tables.number(row.get("Age", ""))},
                )
            )
        found.notes["rows of the table have no image here"] += len(told)
        return found

    def _images(self, root: Path) -> dict[str, Path]:
        """The preferred image of each session."""
        images: dict[str, Path] = {}
        for pattern in _IMAGES[self.prefer]:
            for path, _ in files(root, pattern):
                session = next((part for part in reversed(path.parts[:-1]) if _SESSION.fullmatch(part)), None)
                if session:
                    images.setdefault(session, path)
        return images

    def _third(self, root: Path, images: list) -> Found:
        table = tables.find(root, self.table, r"(?i).*(?:clinical|UDSb4|ADRC).*\.csv", "--table")
        exams: dict[str, list[tuple[int, dict[str, str]]]] = {}
        found = Found([])
        for row in tables.read(table, (), "--table"):
            day = next((m for m in (re.search(r"OAS3\d{4}_.*_d(\d{4})", cell) for cell in row.values()) if m), None)
            if day:
                exams.setdefault(day[0][:8], []).append((int(day[1]), {k.lower(): v for k, v in row.items()}))
            else:
                found.notes["rows of the clinical table name no patient and day"] += 1
        of_patient: dict[str, set[int]] = {}
        for _, match in images:
            of_patient.setdefault(match[1], set()).add(int(match[2]))
        days = {patient: sorted(mine) for patient, mine in of_patient.items()}
        for path, match in images:
            patient, day = match[1], int(match[2])
            by_distance = sorted(exams.get(patient, []), key=lambda entry: abs(entry[0] - day))
            near = [entry for entry in by_distance if abs(entry[0] - day) <= self.within_days]
            scores = {name: _first(near, columns) for name, columns in _CLINICAL.items()}
            for name, value in scores.items():
                found.notes[f"scans have no {name} within {self.within_days} days"] += value is None
            run = f"run-{match[3]}" if match[3] else ""
            visit, since = days[patient].index(day), float(day - days[patient][0])
            told = {"source": "OAS3", "acquisition": run, "processing": "raw"}
            age = {"age": _age(by_distance, day)}
            found.rows.append(Row(path, patient, visit, since, "T1", **told, scores=scores, covariates=age))
        return found


def _delay(row: dict[str, str], visit: int) -> float | None:
    """Days since the first visit: MR Delay in OASIS-2, the Delay of second scans in OASIS-1."""
    delay = tables.number(row.get("MR Delay", row.get("Delay", "")))
    return 0.0 if delay is None and visit == 1 else delay


def _age(by_distance: list[tuple[int, dict[str, str]]], day: int) -> float | None:
    """Age in years at ``day``: ageAtEntry is the age on day 0, the other columns are of their examination."""
    for of_exam, row in by_distance:
        for column, since in (("ageatentry", day), ("age at visit", day - of_exam), ("age", day - of_exam)):
            age = tables.number(row.get(column, ""))
            if age is not None:
                return round(age + since / tables.YEAR, 2)
    return None


def _first(near: list[tuple[int, dict[str, str]]], columns: tuple[str, ...]) -> float | None:
    values = (tables.number(row.get(column, "")) for _, row in near for column in columns)
    return next((value for value in values if value is not None), None)
