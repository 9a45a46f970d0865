"""BIDS: sub-LABEL/ses-LABEL/anat/… with tables of participants, sessions and scans; also Clinica's ADNI."""

import dataclasses
import datetime
import re
from pathlib import Path
from typing import ClassVar

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, files, some, word
from tfds_builders.errors import InputError

_NAME = r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?((?:_[a-z]+-[A-Za-z0-9]+)*)_([A-Za-z0-9]+)\.nii(?:\.gz)?"
_DATES = ("examination_date", "acq_time", "date", "session_date")
_MONTH = 30.4375  # days


@dataclasses.dataclass
class Bids:
    """Scores and covariates are columns of sessions.tsv or, where it has none of that name, of participants.tsv.

    The time of a session is acq_time of scans.tsv, else a date or days column of sessions.tsv, else the label:
    ses-d0129 is a day, ses-M006 a month. Where none tells, sessions are numbered by label and the days are blank.
    """

    dataset: ClassVar[str] = "brain_volumes"

    scores: tuple[str, ...] = ()  # columns that are health scores, as in MMSE cdr_global
    covariates: tuple[str, ...] = ()  # further columns to keep, as in age
    suffixes: tuple[str, ...] = ("T1w",)  # of images to take

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        images = [
            (path, *match.groups())
            for path, match in files(root, _NAME)
            if path.parent.name == "anat" and match[4] in self.suffixes and "derivatives" not in path.parts
        ]
        some(images, root, f"sub-*/…/anat/*_{' or _'.join(self.suffixes)}.nii.gz (--suffixes)")
        people = _by(root / "participants.tsv", "participant_id")
        sessions: dict[str, dict[str, dict[str, str]]] = {}
        found, moments = Found([]), []
        for path, subject, session, entities, suffix in images:
            if subject not in sessions:
                sessions[subject] = _by(root / subject / f"{subject}_sessions.tsv", "session_id")
            of_session, of_person = sessions[subject].get(session or "", {}), people.get(subject, {})
            if people and not of_person:
                found.notes["images are of people without a row in participants.tsv"] += 1
            values = {
                name: tables.number(of_session.get(name) or of_person.get(name, ""))
                for name in (*self.scores, *self.covariates)
            }
            labels = dict(part.split("-", 1) for part in entities.strip("_").split("_") if part)
            found.rows.append(
                Row(
                    path,
                    subject,
                    view=suffix,
                    site=of_person.get("site", ""),
                    acquisition=word("_".join(f"{key}-{value}" for key, value in labels.items())),
                    scores={name: values[name] for name in self.scores},
                    covariates={name: values[name] for name in self.covariates},
                )
            )
            moments.append((session or "", _moment(path, subject, session or "", of_session)))
        self._check_columns(root, people, sessions)
        _number_sessions(found, moments)
        return found

    def _check_columns(self, root: Path, people: dict, sessions: dict) -> None:
        rows = [*people.values(), *(row for of_person in sessions.values() for row in of_person.values())]
        columns = {name for row in rows for name in row}
        numeric = sorted(name for name in columns if any(tables.number(row.get(name, "")) is not None for row in rows))
        wrong = [name for name in (*self.scores, *self.covariates) if name not in columns]
        if wrong or not self.scores:
            what = f"has no column {wrong[0]!r}" if wrong else "was asked for no score"
            raise InputError(
                f"{root} {what}; its tables have numbers in: {', '.join(numeric) or 'no column'}. See --scores"
            )


def _by(path: Path, column: str) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    return {row[column]: row for row in tables.read(path, (column,))}


def _moment(path: Path, subject: str, session: str, row: dict[str, str]) -> float | None:
    """Days, on a scale of the subject's own, at which a session took place."""
    stem = "_".join(filter(None, (subject, session)))
    scans = _by(path.parent.parent / f"{stem}_scans.tsv", "filename")
    acquired = scans.get(f"anat/{path.name}", {}).get("acq_time", "")
    for text in (acquired, *(row.get(name, "") for name in _DATES)):
        day = tables.day(text)
        if day and day.year > 1800:
            return float((day - datetime.date(1, 1, 1)).days)
    for name in ("days", "time_days"):
        days = tables.number(row.get(name, ""))
        if days is not None:
            return days
    match = re.fullmatch(r"ses-(?:d(\d+)|[mM](\d+))", session)
    return None if match is None else float(match[1]) if match[1] else round(int(match[2]) * _MONTH)


def _number_sessions(found: Found, moments: list[tuple[str, float | None]]) -> None:
    by_subject: dict[str, list[int]] = {}
    for i, row in enumerate(found.rows):
        by_subject.setdefault(row.patient, []).append(i)
    for mine in by_subject.values():
        when: dict[str, float | None] = {}
        for i in mine:
            session, moment = moments[i]
            known = when.get(session)
            when[session] = moment if known is None else known if moment is None else min(known, moment)
        dated = all(moment is not None for moment in when.values())
        if dated:
            order = sorted(when, key=lambda session: when[session])
        else:
            found.notes["people have sessions without a time: their days are blank"] += len(when) > 1
            order = sorted(when, key=_natural)
        for i in mine:
            session = moments[i][0]
            found.rows[i].visit = order.index(session)
            found.rows[i].time_days = when[session] - when[order[0]] if dated else None


def _natural(label: str) -> list:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", label)]
