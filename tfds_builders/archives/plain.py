"""Your own table, whatever its columns are called."""

import dataclasses
from pathlib import Path
from typing import Literal

from tfds_builders import cohort_csv, identity
from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, number_visits, word
from tfds_builders.errors import InputError
from tfds_builders.wording import first_few, plural

_WORDS = ("view", "acquisition", "processing")
_OURS = ("scan", "patient", "visit", "time_days", "date", *_WORDS, "source", "site", "split")


@dataclasses.dataclass
class Plain:
    """A .csv, .tsv, .xls or .xlsx with one row per scan; --columns gives its names for the cohort's columns.

    Visits and days may be given as numbers. Where there is no such column they come from the date, and visits also from
    the days. A cell that should be a number or a date must be one or be blank; only --missing names codes for unknown.
    """

    table: str = ""  # the table
    columns: tuple[str, ...] = ()  # OURS=THEIRS for columns with other names, as in patient=PTID date=EXAMDATE
    scores: tuple[str, ...] = ()  # columns that are health scores
    covariates: tuple[str, ...] = ()  # further columns to keep
    missing: tuple[float, ...] = ()  # numbers that stand for an unknown score or covariate, such as -4 -99
    view: str = ""  # view of all scans, where there is no such column
    dataset: Literal["ultrasound_clips", "brain_volumes", "stills"] = "brain_volumes"  # that the files are for

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        if not self.table:
            raise InputError("no table was given; name it with --table")
        if not self.scores:
            raise InputError("no columns of health scores were given; name them with --scores")
        named = self._named()
        renamed = [theirs for ours, theirs in named.items() if ours != theirs or ours in ("scan", "patient")]
        needed = (*renamed, *self.scores, *self.covariates)
        told = tables.read(Path(self.table), needed, "--table, --columns, --scores and --covariates")
        if not told:
            raise InputError(f"{self.table} has a header and no scan below it")
        for ours in (name for name, theirs in named.items() if name == theirs not in told[0]):
            alike = [theirs for theirs in told[0] if theirs.lower() == ours]
            if len(alike) > 1:
                raise InputError(f"{self.table} has {len(alike)} columns {ours!r}; rename all but one")
            named[ours] = alike[0] if alike else ours
        has_visits, has_days = named["visit"] in told[0], named["time_days"] in told[0]
        days, found, faults = [], Found([]), []
        texts: dict[tuple[str, str], str] = {}  # column and word -> the text that becomes it
        for i, row in enumerate(told, 1):
            cell = {ours: row.get(theirs, "") for ours, theirs in named.items()}
            cell |= {name: identity.composed(cell[name]) for name in ("source", "patient")}
            if not has_visits:
                cell["visit"] = "0"
            wrong: list[str] = []
            found.rows.append(self._row(root, cell, row, wrong))
            for name in _WORDS:
                first = texts.setdefault((name, word(cell[name])), cell[name])
                if first != cell[name]:
                    wrong.append(
                        f"{name} is {cell[name]!r}, which becomes the word {word(cell[name])!r} as {first!r} does; "
                        "spell them alike, or with other letters or digits"
                    )
            day = tables.day(cell["date"])
            days.append(day and day.toordinal())
            if day is None and not tables.is_blank(cell["date"]):
                wrong.append(f"date is {cell['date']!r}; it is written 2005-09-08 or 9/8/2005 (month first)")
            faults += [f"row {i}: {fault}" for fault in wrong]
        if faults:
            heading = f"{self.table} has {plural(len(faults), 'fault')}:"
            raise InputError("\n  ".join([heading, *first_few(faults, cohort_csv.MAX_FAULTS)]))
        if has_days and not any(days):
            days = [row.time_days for row in found.rows]
        if any(day is not None for day in days) and not (has_visits and has_days):
            found.notes["scans have no date"] += sum(day is None for day in days)
            given = [(row.visit, row.time_days) for row in found.rows]
            number_visits(found.rows, days)
            for row, (visit, time_days) in zip(found.rows, given, strict=True):
                row.visit = visit if has_visits else row.visit
                row.time_days = time_days if has_days else row.time_days
        elif not has_visits:
            found.notes["scans have neither visit nor date; those of a patient are taken for one visit"] += len(told)
        return found

    def _named(self) -> dict[str, str]:
        """The table's name for each of our columns."""
        named = {name: name for name in _OURS}
        for given in self.columns:
            ours, equals, theirs = given.partition("=")
            if not equals or ours not in named:
                raise InputError(
                    f"--columns has {given!r}; it takes OURS=THEIRS, where OURS is one of {', '.join(named)}"
                )
            named[ours] = theirs
        return named

    def _row(self, root: Path, cell: dict[str, str], row: dict[str, str], wrong: list[str]) -> Row:
        visit = tables.number(cell["visit"])
        if visit is None or visit != int(visit):
            wrong.append(f"visit is {cell['visit']!r}; it must be an integer, the visit's place in time")
        if not cell["scan"]:
            wrong.append("scan is empty; it is the path of a file or a DICOM series, relative to ROOT")
        return Row(
            root / cell["scan"],
            cell["patient"],
            int(visit or 0),
            _number("time_days", cell["time_days"], (), wrong),
            word(cell["view"]) or self.view,
            **{name: cell[name] for name in ("source", "site", "split")},
            **{name: word(cell[name]) for name in _WORDS[1:]},
            scores={name: _number(name, row[name], self.missing, wrong) for name in self.scores},
            covariates={name: _number(name, row[name], self.missing, wrong) for name in self.covariates},
        )


def _number(name: str, text: str, missing: tuple[float, ...], wrong: list[str]) -> float | None:
    if isinstance(text, tables.Grouped):
        wrong.append(f"{name} is {text.told}")
        return None
    value = tables.number(text)
    if value is None and not tables.is_blank(text):
        wrong.append(f"{name} is {text!r}; it is a number, or blank when unknown")
    return None if value in missing else value
