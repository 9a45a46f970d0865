"""A table of one's own, whatever its columns are called."""

import dataclasses
from pathlib import Path
from typing import Literal

from tfds_builders.archives import tables
from tfds_builders.archives.api import Found, Row, number_visits, word
from tfds_builders.errors import InputError


@dataclasses.dataclass
class Plain:
    """A .csv, .tsv, .xls or .xlsx with one row for each scan; --columns tells its names for the cohort's columns.

    Visits may be given as numbers, or are numbered by date.
    """

    table: str = ""  # the table
    columns: tuple[str, ...] = ()  # OURS=THEIRS for each column called otherwise, as in patient=PTID date=EXAMDATE
    scores: tuple[str, ...] = ()  # columns that are health scores
    covariates: tuple[str, ...] = ()  # further columns to keep
    view: str = ""  # of all scans, where there is no such column
    dataset: Literal["ultrasound_clips", "brain_volumes", "stills"] = "brain_volumes"  # that the files are for

    def find(self, root: Path) -> Found:
        """See :class:`~tfds_builders.archives.api.Archive`."""
        if not self.table:
            raise InputError("which table it is was not said; name it with --table")
        named = {name: name for name in ("scan", "patient", "visit", "time_days", "date", *_TEXT)}
        for given in self.columns:
            ours, equals, theirs = given.partition("=")
            if not equals or ours not in named:
                raise InputError(
                    f"--columns has {given!r}; it takes OURS=THEIRS, where OURS is one of {', '.join(named)}"
                )
            named[ours] = theirs
        needed = (named["scan"], named["patient"], *self.scores, *self.covariates)
        rows, days, found = tables.read(Path(self.table), needed, "--columns"), [], Found([])
        for row in rows:
            cell = {ours: row.get(theirs, "") for ours, theirs in named.items()}
            visit = tables.number(cell["visit"])
            found.rows.append(
                Row(
                    root / cell["scan"],
                    cell["patient"],
                    int(visit or 0),
                    tables.number(cell["time_days"]),
                    word(cell["view"]) or self.view,
                    **{name: cell[name] for name in ("source", "site")},
                    **{name: word(cell[name]) for name in ("acquisition", "processing")},
                    scores={name: tables.number(row[name]) for name in self.scores},
                    covariates={name: tables.number(row[name]) for name in self.covariates},
                )
            )
            days.append(tables.day(cell["date"]))
        if any(days):
            found.notes["scans have no date that can be read"] += sum(day is None for day in days)
            number_visits(found.rows, days)
        return found


_TEXT = ("view", "source", "site", "acquisition", "processing")
