"""ADNI's tables of examinations, merged or raw -> the scores nearest to a date."""

import dataclasses
import datetime
import re
from collections import Counter, defaultdict
from pathlib import Path

from tfds_builders.archives import tables

SCORES = ("mmse", "cdrsb")
_MISSING = (-1.0, -4.0)  # codes for missing values in these tables
_BASELINE = {"bl", "m0", "m00", "sc", "f", "scmri"}  # visit codes


@dataclasses.dataclass(frozen=True)
class Exam:
    """One examination of one patient."""

    day: datetime.date
    scores: dict[str, float | None]
    age: float | None = None
    field_strength: str = ""


@dataclasses.dataclass(frozen=True)
class Near:
    """What is known about a patient around a date."""

    scores: dict[str, float | None]
    age: float | None = None
    field_strength: str = ""


@dataclasses.dataclass(frozen=True)
class Exams:
    """All examinations, by the patient's RID."""

    by_patient: dict[int, list[Exam]]

    def near(self, patient: str, day: datetime.date | None, within: int) -> Near:
        """Each score, and the age, from the nearest examination that has it, at most ``within`` days from ``day``.

        Args:
          patient: such as 002_S_0295, whose last part is the RID.
        """
        mine = self.by_patient.get(int(patient.rsplit("_", 1)[1]), []) if day else []
        by_distance = sorted(mine, key=lambda exam: (abs((exam.day - day).days), exam.day))
        close = [exam for exam in by_distance if abs((exam.day - day).days) <= within]
        scores = {
            name: next((exam.scores[name] for exam in close if exam.scores.get(name) is not None), None)
            for name in SCORES
        }
        age = next((exam.age for exam in close if exam.age is not None), None)
        return Near(scores, age, next((exam.field_strength for exam in close if exam.field_strength), ""))


def read(adnimerge: str, mmse: str, cdr: str, notes: Counter) -> Exams:
    """Read examinations from ADNIMERGE, from the raw MMSE and CDR tables, or from both; an empty path names no table.

    In ADNIMERGE, AGE is the age at baseline on every row, so the age is AGE + Years_bl. A row of a raw table without
    EXAMDATE is dated by VISCODE2, in months after the patient's first dated baseline; a row without a date is left out.

    Raises:
      InputError: a table cannot be read or lacks a column.
    """
    exams: dict[int, list[Exam]] = defaultdict(list)
    if adnimerge:
        columns = ("RID", "VISCODE", "EXAMDATE", "AGE", "MMSE", "CDRSB", "Years_bl")
        for row in tables.read(Path(adnimerge), columns, "--adnimerge"):
            _add_merged(exams, row, notes)
    for path, score, column, flag in ((mmse, "mmse", "MMSCORE", "--mmse"), (cdr, "cdrsb", "CDRSB", "--cdr")):
        if path:
            _add_raw(exams, tables.read(Path(path), ("RID", "VISCODE2", column), flag), score, column, notes)
    return Exams(dict(exams))


def _add_merged(exams: dict[int, list[Exam]], row: dict[str, str], notes: Counter) -> None:
    day, rid = tables.day(row["EXAMDATE"]), tables.number(row["RID"])
    if day is None or rid is None:
        notes["rows of ADNIMERGE have no date or no RID that can be read"] += 1
        return
    age, years = tables.number(row["AGE"], _MISSING), tables.number(row["Years_bl"])
    years = 0.0 if years is None and row["VISCODE"].lower() in _BASELINE else years
    strength = re.match(r"([\d.]+) ?T", row.get("FLDSTRENG", ""))
    exams[int(rid)].append(
        Exam(
            day,
            {"mmse": tables.number(row["MMSE"], _MISSING), "cdrsb": tables.number(row["CDRSB"], _MISSING)},
            None if age is None or years is None else age + years,
            f"{float(strength[1]):g}T" if strength else "",
        )
    )


def _add_raw(exams: dict[int, list[Exam]], rows: tables.Table, score: str, column: str, notes: Counter) -> None:
    dated = [(row, tables.day(row.get("EXAMDATE", "")) or tables.day(row.get("VISDATE", ""))) for row in rows]
    first: dict[str, datetime.date] = {}
    for row, day in dated:
        if day and row["VISCODE2"].lower() in _BASELINE:
            first[row["RID"]] = min(day, first.get(row["RID"], day))
    for row, day in dated:
        months = 0 if row["VISCODE2"].lower() in _BASELINE else _months(row["VISCODE2"])
        if day is None and months is not None and row["RID"] in first:
            day = first[row["RID"]] + datetime.timedelta(days=round(months * tables.MONTH))
        rid = tables.number(row["RID"])
        if day is None or rid is None:
            notes[f"rows of the table of {score} cannot be dated"] += 1
            continue
        exams[int(rid)].append(Exam(day, {score: tables.number(row[column], _MISSING)}))


def _months(visit: str) -> int | None:
    match = re.fullmatch(r"m(\d+)", visit.lower())
    return int(match[1]) if match else None
