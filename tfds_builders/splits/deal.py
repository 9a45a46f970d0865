"""Deal patients out to parts or folds, stratified by score, in an order that comes from hashes, not a random library.

What is dealt out is a *unit*: one patient, or several who share identical pixels and must stay together.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import polars as pl

from tfds_builders.cohort import SPLITS, first_score
from tfds_builders.errors import InputError
from tfds_builders.splits.split import Split
from tfds_builders.wording import plural

FRACTIONS = (0.6, 0.2, 0.2)
LEAST_FOLDS = 3  # one tests, the next validates, the others train
_STRATUM = 5  # units of neighbouring scores in a stratum

Unit = tuple[str, ...]  # hashes of patients, sorted


def make(
    table: pl.DataFrame,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    name: str = "default",
    duplicates: Sequence[Sequence[int]] = (),
) -> Split:
    """Deal patients out to train, val and test, roughly stratified by their mean of the first score.

    Units are sorted by that mean, cut into strata of five, ordered by sha256(seed, patient) within each stratum, and
    dealt out in proportion. So the result depends neither on a random library nor on the order of rows. No part is
    empty where there are enough units; two units become train and test, a single one becomes test. A ``split`` column
    in ``table`` takes precedence over all this.

    Args:
      table: columns of ``cohort.parquet``, one row per record.
      fractions: of units for train, val and test; they need not add up to 1.
      duplicates: groups of rows whose stored pixels are identical; their patients go into the same part.

    Raises:
      InputError: ``fractions`` are not three numbers of at least 0 with a sum above 0.
    """
    if "split" in table.columns:
        given = set(zip(table["patient"].to_list(), table["split"].to_list(), strict=True))
        return Split(name, *(tuple(sorted(p for p, of in given if of == part)) for part in SPLITS))
    if len(fractions) != 3 or not all(math.isfinite(f) and f >= 0 for f in fractions) or not sum(fractions) > 0:
        raise InputError(f"--fractions is {' '.join(map(str, fractions))}; it takes three numbers, as in 0.6 0.2 0.2")
    units = [unit for stratum in _strata(table, duplicates, seed, _STRATUM) for unit in stratum]
    units.sort(key=len, reverse=True)  # the largest part is served first, where large units matter least
    parts: list[list[str]] = [[], [], []]
    for unit, part in zip(units, _shares(len(units), fractions), strict=True):
        parts[part].extend(unit)
    return Split(name, *(tuple(sorted(part)) for part in parts))


def folds(
    table: pl.DataFrame, n: int, seed: int = 0, name: str = "cv", duplicates: Sequence[Sequence[int]] = ()
) -> list[Split]:
    """``n`` splits ``name-0`` …: each patient is in test once and in val once; split i validates on the test of i + 1.

    Units are sorted by their mean of the first score and cut into strata of ``n``. Each stratum gives one unit to every
    fold, in the order of sha256(seed, patient), with larger units going to emptier folds. So fold sizes differ by at
    most as many patients as the largest unit has. Where no pixels are shared that is one, and the number of patients
    below any given score then also differs by at most one between folds.

    Args:
      table: columns of ``cohort.parquet``, one row per record.
      duplicates: groups of rows whose stored pixels are identical; their patients go into the same fold.

    Raises:
      InputError: there are fewer than three folds, or fewer units than folds.
    """
    if n < LEAST_FOLDS:
        raise InputError(f"--folds is {n}; it takes {LEAST_FOLDS} or more: one tests, the next validates, others train")
    strata = _strata(table, duplicates, seed, n)
    if len(strata[0]) < n:
        raise InputError(
            f"--folds is {n} and only {plural(len(strata[0]), 'patient')} can be dealt out (patients with identical "
            "pixels count as one); ask for fewer folds"
        )
    held: list[list[str]] = [[] for _ in range(n)]
    for stratum in strata:
        emptiest = sorted(held, key=len)
        for unit, fold in zip(sorted(stratum, key=len, reverse=True), emptiest, strict=False):
            fold.extend(unit)
    return [_fold(held, i, f"{name}-{i}") for i in range(n)]


def _fold(held: list[list[str]], test: int, name: str) -> Split:
    val = (test + 1) % len(held)
    train = [patient for i, fold in enumerate(held) if i not in (test, val) for patient in fold]
    return Split(name, *(tuple(sorted(part)) for part in (train, held[val], held[test])))


def _strata(table: pl.DataFrame, duplicates: Sequence[Sequence[int]], seed: int, size: int) -> list[list[Unit]]:
    """Groups of ``size`` units with neighbouring mean scores (the last may be smaller), each in order of the hashes."""

    def drawn(unit: Unit) -> str:
        return hashlib.sha256(f"{seed}:{unit[0]}".encode()).hexdigest()

    mean = _mean_scores(table, _units(table["patient"].to_list(), duplicates))
    by_score = sorted(mean, key=lambda unit: (mean[unit], drawn(unit)))
    return [sorted(by_score[i : i + size], key=drawn) for i in range(0, len(by_score), size)]


def _units(patients: Sequence[str], duplicates: Sequence[Sequence[int]]) -> set[Unit]:
    """Group patients who share pixels, directly or through others; a patient who shares none is alone."""
    together = {patient: {patient} for patient in patients}
    for rows in duplicates:
        joined = set().union(*(together[patients[row]] for row in rows))
        together.update(dict.fromkeys(joined, joined))
    return {tuple(sorted(unit)) for unit in together.values()}


def _mean_scores(table: pl.DataFrame, units: set[Unit]) -> dict[Unit, float]:
    """Mean of the first score over the labeled scans of each unit; infinity for the unlabeled, which thus come last."""
    known = defaultdict(list)
    column = first_score(table)
    if column:
        for patient, value in zip(table["patient"].to_list(), table[column].to_list(), strict=True):
            if value is not None and math.isfinite(value):
                known[patient].append(value)
    scores = {unit: [value for patient in unit for value in known[patient]] for unit in units}
    # fsum, because an ordinary sum would depend on the order of rows.
    return {unit: math.fsum(values) / len(values) if values else math.inf for unit, values in scores.items()}


def _shares(n: int, fractions: Sequence[float]) -> list[int]:
    """Part 0, 1 or 2 for each of ``n`` units, with every prefix as close to the fractions as whole units allow."""
    if n == 1:
        return [2 if fractions[2] else int(np.argmax(fractions))]
    share = np.array(fractions, np.float64) / sum(fractions)
    count = np.floor(share * n).astype(int)
    for i in np.argsort(count - share * n, kind="stable")[: n - count.sum()]:
        count[i] += 1
    for i in (0, 2, 1):  # training first, then test: with two units there is no validation
        if share[i] and not count[i] and count.max() > 1:
            count[np.argmax(count)] -= 1
            count[i] += 1
    if n == 2 and share[0] and share[2]:
        count = np.array([1, 0, 1])
    given, parts = np.zeros(3), []
    for i in range(n):
        owed = np.where(given < count, count / n * (i + 1) - given, -np.inf)
        parts.append(int(np.argmax(owed)))
        given[parts[-1]] += 1
    return parts
