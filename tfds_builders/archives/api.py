"""What an archive gives: rows of a cohort, and what was left out of them."""

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
    """One scan. None: unknown."""

    scan: Path  # below the folder that the cohort's paths start from
    patient: str
    visit: int = 0
    time_days: float | None = None
    view: str = ""
    source: str = ""
    site: str = ""
    acquisition: str = ""
    processing: str = ""
    split: str = ""  # train, val or test, where an archive comes with them
    scores: dict[str, float | None] = dataclasses.field(default_factory=dict)
    covariates: dict[str, float | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Found:
    """What lies in an archive."""

    rows: list[Row]
    notes: Counter = dataclasses.field(default_factory=Counter)  # sentence -> how often
    root: Path | None = None  # that the paths start from, where it is not the archive's


class Archive(Protocol):
    """An options dataclass whose fields are the flags of one archive; its docstring is the help."""

    dataset: str  # that its files are for, one of build.py
    # for_build: names of those flags that the dataset has as well, where there are any

    def find(self, root: Path) -> Found:
        """Walk through the archive and its tables.

        Raises:
          InputError: it does not lie there, or a table is missing or not what it should be.
        """


def files(root: Path, pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Files below ``root`` whose name matches all of ``pattern``, sorted; links to folders are not followed.

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
    raise InputError(f"the folder {error.filename} cannot be read ({error.strerror}); give yourself leave to read it")


def some(found: list, root: Path, what: str) -> list:
    """``found`` itself.

    Raises:
      InputError: it is empty.
    """
    if not found:
        raise InputError(f"{root} holds no {what}; name the folder of the archive as ROOT")
    return found


def word(text: str) -> str:
    """Free text as one word of the cohort's vocabulary."""
    return re.sub(r"[^A-Za-z0-9_+.-]+", "-", text.strip()).strip("-")[:32]


def number_visits(rows: list[Row], days: list[float | None], within: int = 0) -> None:
    """Set ``visit`` and ``time_days`` by the days of the scans, counted from any start.

    Days then count from a patient's first dated scan; a scan up to ``within`` days after the first of a visit belongs
    to it. Scans without a day come after those with one, as one visit.
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
