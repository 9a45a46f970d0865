"""Which pairs of visits to compare: all of a dataset, or those that a CSV names."""

import csv
import dataclasses
import functools
import itertools
from pathlib import Path

import numpy as np

from learner_jax.data.cohort import Cohort
from tfds_builders.errors import InputError
from tfds_builders.wording import plural, suggest

COLUMNS = ("patient", "visit_1", "visit_2")
_SHOWN = 20  # faults of a CSV


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two visits of one patient, earlier -> later; ``patient`` indexes ``cohort.patients``."""

    patient: int
    visit_1: int
    visit_2: int


def all_pairs(cohort: Cohort, order: str = "all") -> list[Pair]:
    """Every pair of visits of one patient, earlier -> later; ``order`` as ``config.eval.order``."""
    chosen = itertools.pairwise if order == "consecutive" else functools.partial(itertools.combinations, r=2)
    visits = np.unique(np.stack([cohort.patient, cohort.visit], axis=1), axis=0).tolist()
    groups = itertools.groupby(visits, key=lambda row: row[0])
    return [Pair(patient, first, second) for patient, own in groups for (_, first), (_, second) in chosen(own)]


def read_pairs(path: Path, cohort: Cohort) -> list[Pair]:
    """The pairs of a CSV with the columns ``patient`` (a hash of the cohort table), ``visit_1`` and ``visit_2``.

    Other columns are ignored, so the ``pairs.csv`` of an evaluation can be given as it is.

    Raises:
      InputError: the file cannot be read, lacks a column, or names what is not in the cohort; lists up to 20 faults
        with their lines.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"the pairs {path} cannot be read ({fault}); name a CSV with --pairs") from fault
    for name in COLUMNS:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}; {suggest(name, header)}. Needed: {', '.join(COLUMNS)}")
    number = {name: at for at, name in enumerate(cohort.patients)}
    known = set(zip(cohort.patient.tolist(), cohort.visit.tolist(), strict=True))
    found, faults = [], []
    for line, row in rows:
        pair = _parse(row, number, known)
        if isinstance(pair, str):
            faults.append(f"line {line}: {pair}")
        else:
            found.append(pair)
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise InputError("\n  ".join([f"{path} has {plural(len(faults), 'fault')}:", *faults[:_SHOWN], *more]))
    return found


def _parse(row: dict[str, str], number: dict[str, int], known: set[tuple[int, int]]) -> Pair | str:
    name, *visits = (str(row[column]).strip() for column in COLUMNS)
    if name not in number:
        return (
            f"the dataset has no patient {name!r}; patients are named by their hashes: python -m tfds_builders.resolve"
        )
    for text, column in zip(visits, COLUMNS[1:], strict=True):
        if not text.removeprefix("-").isdecimal():
            return f"{column} is {text!r}; it is an integer"
        if (number[name], int(text)) not in known:
            return f"patient {name} has no visit {text}"
    first, second = map(int, visits)
    return Pair(number[name], first, second) if first < second else f"visit_1 is {first}, not before visit_2, {second}"
