"""What an archive provides: the rows of a cohort, and notes on what was left out."""

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tfds_builders.errors import InputError


@dataclasses.dataclass
class Row:
    """One scan of an archive; None where a value is unknown."""

    scan: Path  # below the folder that the cohort's paths are relative to
    patient: str
    visit: int = 0
    time_days: float | None = None
    view: str = ""
    source: str = ""
    site: str = ""
    acquisition: str = ""
    processing: str = ""
    split: str = ""  # train, val or test, where an archive defines a split
    scores: dict[str, float | None] = dataclasses.field(default_factory=dict)
    covariates: dict[str, float | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Found:
    """What was found in an archive."""

    rows: list[Row]
    notes: Counter = dataclasses.field(default_factory=Counter)  # sentence -> number of times
    root: Path | None = None  # the folder that paths are relative to, where it is not the archive's


class Archive(Protocol):
    """An options dataclass whose fields are the flags of one archive and whose docstring is its help."""

    dataset: str  # the dataset of build.py that its files are for
    # for_build: optionally, the names of those flags that the dataset has as well

    def find(self, root: Path) -> Found:
        """Collect the scans of the archive and what its tables say about them.

        Raises:
          InputError: the archive is not there, or a table is missing or has an unexpected form.
        """


def files(root: Path, pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Files below ``root`` whose whole name matches ``pattern``, sorted; links to folders are not followed.

    Raises:
      InputError: a folder cannot be read.
    """
    matcher = re.compile(pattern)
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders.sort()
        for name in sorted(names):
            match = matcher.fullmatch(name)
            if match and not name.startswith("."):
                yield Path(folder) / name, match


def _refuse(error: OSError) -> None:
    raise InputError(f"the folder {error.filename} cannot be read ({error.strerror}); change its permissions")


def some(found: list, root: Path, what: str) -> list:
    """Return ``found``, unless it is empty.

    Raises:
      InputError: it is empty; ``what`` says what was looked for.
    """
    if not found:
        raise InputError(f"{root} holds no {what}; name the folder of the archive as ROOT")
    return found


def word(text: str) -> str:
    """Free text as one word of letters, digits and ``_ + . -``, as a cohort CSV has it; it is not cut to its length."""
    return re.sub(r"[^A-Za-z0-9_+.-]+", "-", text.strip()).strip("-")


def number_visits(rows: list[Row], days: list[float | None], within: int = 0) -> None:
    """Set ``visit`` and ``time_days`` of each row from the days of the scans.

    ``time_days`` counts from a patient's first dated scan. A scan at most ``within`` days after the first scan of a
    visit belongs to that visit. Scans without a day form one visit, after all others.

    Args:
      rows: changed in place.
      days: one for each row, counted from any origin; None unknown.
      within: days.
    """
    by_patient: dict[tuple[str, str], list[tuple[Row, float | None]]] = {}
    for row, day in zip(rows, days, strict=True):
        by_patient.setdefault((row.source, row.patient), []).append((row, day))
    for mine in by_patient.values():
        dated = sorted({day for _, day in mine if day is not None})
        starts: list[float] = []
        for day in dated:
            if not starts or day - starts[-1] > within:
                starts.append(day)
        for row, day in mine:
            if day is None:
                row.visit, row.time_days = len(starts), None
            else:
                row.visit = sum(start <= day for start in starts) - 1
                row.time_days = float(day - dated[0])
