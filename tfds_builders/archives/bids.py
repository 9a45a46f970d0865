"""BIDS: sub-LABEL/ses-LABEL/anat/… with tables of participants, sessions and scans; also Clinica's ADNI."""

import dataclasses
import datetime
import re
from collections import Counter
from pathlib import Path
from typing import ClassVar

from tfds_builders import dates
from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some, word
from tfds_builders.errors import InputError

_NAME = r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?((?:_[a-z]+-[A-Za-z0-9]+)*)_([A-Za-z0-9]+)\.nii(?:\.gz)?"
_DATES = ("examination_date", "acq_time", "date", "session_date")
_DAYS = ("days", "time_days")
_SOURCES = ("scans.tsv", *_DATES, *_DAYS, "day of label", "month of label")


@dataclasses.dataclass
class Bids:
    """Scores and covariates are columns of sessions.tsv or, where it has no such column, of participants.tsv.

    The time of a session is acq_time of scans.tsv, else a date or days column of sessions.tsv, else the label:
    ses-d0129 is a day, ses-M006 a month. The first of these that is known for all sessions of a person is used. Where
    there is none, sessions are numbered by label and days are left blank.
    """

    dataset: ClassVar[str] = "brain_volumes"

    scores: tuple[str, ...] = ()  # columns that are health scores, such as MMSE cdr_global
    covariates: tuple[str, ...] = ()  # further columns to keep, such as age
    suffixes: tuple[str, ...] = ("T1w",)  # suffixes of the images to take

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        images = [
            (path, *match.groups())
            for path, match in files(root, _NAME)
            if path.parent.name == "anat"
            and match[4] in self.suffixes
            and "derivatives" not in path.relative_to(root).parts
        ]
        some(images, root, f"sub-*/…/anat/*_{' or _'.join(self.suffixes)}.nii.gz (--suffixes)")
        people = _by(root / "participants.tsv", "participant_id", "sub-")
        subjects = sorted({subject for _, subject, *_ in images})
        sessions = {s: _by(root / s / f"{s}_sessions.tsv", "session_id", "ses-") for s in subjects}
        of_sessions = {column for rows in sessions.values() for row in rows.values() for column in row}
        found, times = Found([]), []
        for path, subject, session, entities, suffix in images:
            of_session, of_person = sessions[subject].get(session or "", {}), people.get(subject, {})
            if people and not of_person:
                found.notes["images are of people without a row in participants.tsv"] += 1
            values = {
                name: _value(name, of_session if name in of_sessions else of_person, found.notes)
                for name in (*self.scores, *self.covariates)
            }
            labels = [label for label in entities.strip("_").split("_") if label]
            kept = [label for label in labels if not dates.is_in(label)]
            found.notes["labels of file names may be dates and are left out of acquisition"] += len(labels) - len(kept)
            found.rows.append(
                Row(
                    path,
                    subject,
                    view=suffix,
                    site="" if tables.is_blank(of_person.get("site", "")) else of_person["site"],
                    acquisition=word("_".join(kept)),
                    scores={name: values[name] for name in self.scores},
                    covariates={name: values[name] for name in self.covariates},
                )
            )
            times.append((session or "", _times(path, subject, session or "", of_session)))
        self._check_columns(root, people, sessions)
        found.notes["people of participants.tsv have no image here"] += len(people.keys() - set(subjects))
        _number_sessions(found, times)
        return found

    def _check_columns(self, root: Path, people: dict, sessions: dict) -> None:
        rows = [*people.values(), *(row for of_person in sessions.values() for row in of_person.values())]
        columns = {name for row in rows for name in row}
        numeric = sorted(name for name in columns if any(tables.number(row.get(name, "")) is not None for row in rows))
        wrong = [name for name in (*self.scores, *self.covariates) if name not in numeric]
        if not wrong and self.scores:
            return
        if not wrong:
            what = "was asked for no score"
        elif wrong[0] in columns:
            what = f"has no number in column {wrong[0]!r}"
        else:
            what = f"has no column {wrong[0]!r}"
        raise InputError(
            f"{root} {what}; its tables have numbers in: {', '.join(numeric) or 'no column'}. See --scores"
        )


def _by(path: Path, column: str, prefix: str = "") -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    by: dict[str, dict[str, str]] = {}
    for row in tables.read(path, (column,)):
        row[column] = prefix + row[column].removeprefix(prefix)
        if by.setdefault(row[column], row) != row:
            raise InputError(f"{path} has two rows of {row[column]} that differ; remove the wrong one")
    return by


def _value(name: str, row: dict[str, str], notes: Counter) -> float | None:
    text = row.get(name, "")
    value = tables.number(text)
    notes[f"cells of {name} hold no number and are left blank"] += value is None and not tables.is_blank(text)
    return value


def _times(path: Path, subject: str, session: str, row: dict[str, str]) -> dict[str, float]:
    """Days of a session by source, each counted from an origin of its own; the most trusted source comes first."""
    times: dict[str, float] = {}
    stem = "_".join(filter(None, (subject, session)))
    scans = _by(path.parent.parent / f"{stem}_scans.tsv", "filename")
    acquired = scans.get(f"anat/{path.name}", {}).get("acq_time", "")
    for source, text in (("scans.tsv", acquired), *((name, row.get(name, "")) for name in _DATES)):
        day = tables.day(text)
        if day:
            times[source] = float((day - datetime.date(1, 1, 1)).days)
    for name in _DAYS:
        days = tables.number(row.get(name, ""))
        if days is not None:
            times[name] = days
    label = re.fullmatch(r"ses-(?:d(\d+)|[mM](\d+))", session)
    if label and label[1]:
        times["day of label"] = float(label[1])
    elif label:
        times["month of label"] = float(round(int(label[2]) * tables.MONTH))
    return times


def _number_sessions(found: Found, times: list[tuple[str, dict[str, float]]]) -> None:
    by_subject: dict[str, list[int]] = {}
    for i, row in enumerate(found.rows):
        by_subject.setdefault(row.patient, []).append(i)
    for mine in by_subject.values():
        sessions = sorted({times[i][0] for i in mine}, key=_natural)
        told = [times[i] for i in mine]
        source = next((s for s in _SOURCES if {name for name, when in told if s in when} == set(sessions)), None)
        when = {s: min((t[source] for name, t in told if name == s and source in t), default=None) for s in sessions}
        if source:
            sessions.sort(key=lambda session: when[session])
        else:
            found.notes["people have sessions without a time: their days are blank"] += len(sessions) > 1
        for i in mine:
            session = times[i][0]
            found.rows[i].visit = sessions.index(session)
            found.rows[i].time_days = when[session] - when[sessions[0]] if source else None


def _natural(label: str) -> list:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", label)]
