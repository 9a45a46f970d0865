"""Patient -> train, val or test, as lists of record rows beside the records: a new split never needs a rebuild.

python -m tfds_builders.splits DATA_DIR --name fold0 --seed 1 --fractions 0.6 0.2 0.2
"""

import argparse
import dataclasses
import hashlib
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tfds_builders.cohort import SPLITS, read_table
from tfds_builders.errors import InputError, exit_code
from tfds_builders.record import check_complete
from tfds_builders.wording import plural, suggest

FOLDER = "splits"
FRACTIONS = (0.6, 0.2, 0.2)
_STRATUM = 5  # patients of neighbouring scores that are dealt out together


@dataclasses.dataclass(frozen=True)
class Split:
    """Which record rows are for training, validation and test; each sorted, none in two, no patient in two."""

    name: str
    train: np.ndarray  # i64 rows of the cohort table
    val: np.ndarray
    test: np.ndarray

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """``{"train": rows, "val": rows, "test": rows}``."""
        return {name: getattr(self, name) for name in SPLITS}

    @property
    def fingerprint(self) -> str:
        """sha256 over the rows of the three parts; the name does not count."""
        rows = json.dumps([self.parts[name].tolist() for name in SPLITS], separators=(",", ":"))
        return hashlib.sha256(rows.encode()).hexdigest()


def make(table: pl.DataFrame, fractions: Sequence[float] = FRACTIONS, seed: int = 0, name: str = "default") -> Split:
    """Deal out patients, roughly stratified by their mean of the first score.

    Patients are sorted by that mean, cut into strata of five, put into the order of sha256(seed, patient) within each,
    and dealt out in proportion; so the result depends on no random library. Where there are enough patients no part is
    empty; two patients become training and test, one alone is test. A ``split`` column in ``table`` decides instead.

    Args:
      table: columns of ``cohort.parquet``, one row per record.
      fractions: of patients for train, val and test; they need not add up to 1.

    Raises:
      InputError: fractions that are not three numbers from 0 upwards with a sum above 0.
    """
    patients = np.array(table["patient"].to_list(), dtype=str)
    if "split" in table.columns:
        given = np.array(table["split"].to_list(), dtype=str)
        return Split(name, *(np.flatnonzero(given == part) for part in SPLITS))
    if len(fractions) != 3 or not all(math.isfinite(f) and f >= 0 for f in fractions) or not sum(fractions) > 0:
        raise InputError(f"--fractions is {' '.join(map(str, fractions))}; it takes three numbers, as in 0.6 0.2 0.2")
    order = _strata_order(table, seed)
    part_of = dict(zip(order, _deal(len(order), fractions), strict=True))
    part = np.array([part_of[p] for p in patients])
    return Split(name, *(np.flatnonzero(part == i) for i in range(3)))


def _strata_order(table: pl.DataFrame, seed: int) -> list[str]:
    def drawn(patient: str) -> str:
        return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()

    patients = sorted(set(table["patient"].to_list()), key=drawn)
    score = next((c for c in table.columns if c.startswith("score.")), None)
    if score is None:
        return patients
    mean: dict[str, list[float]] = {}
    for patient, value in zip(table["patient"].to_list(), table[score].to_list(), strict=True):
        if value is not None and math.isfinite(value):
            mean.setdefault(patient, []).append(value)
    # The unlabeled come last, in a stratum of their own.
    key = {p: math.fsum(mean[p]) / len(mean[p]) if p in mean else math.inf for p in patients}
    by_score = sorted(patients, key=lambda p: (key[p], drawn(p)))
    strata = [by_score[i : i + _STRATUM] for i in range(0, len(by_score), _STRATUM)]
    return [p for stratum in strata for p in sorted(stratum, key=drawn)]


def _deal(n: int, fractions: Sequence[float]) -> list[int]:
    """Part 0, 1 or 2 for each of ``n`` patients: at every prefix as near to the fractions as whole patients allow."""
    if n == 1:
        return [2 if fractions[2] else int(np.argmax(fractions))]
    share = np.array(fractions, np.float64) / sum(fractions)
    count = np.floor(share * n).astype(int)
    for i in np.argsort(count - share * n, kind="stable")[: n - count.sum()]:
        count[i] += 1
    for i in (0, 2, 1):  # training first, then test: with two patients there is no validation
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


def check(patients: Sequence[str], split: Split) -> None:
    """Refuse a split in which a patient, or a row, is in two parts, or which names rows that do not exist.

    Args:
      patients: hash of each record's patient, in record order.

    Raises:
      InputError: how many and which.
    """
    owner: dict[str, str] = {}
    leaked: dict[str, set[str]] = {}
    n = len(patients)
    every = np.concatenate([split.parts[name] for name in SPLITS])
    wrong = every[(every < 0) | (every >= n)]
    if wrong.size:
        raise InputError(
            f"split {split.name!r} names {plural(wrong.size, 'row')} that do not exist, such as {wrong[0]}; "
            f"the dataset has rows 0 to {n - 1}. Make the split again: python -m tfds_builders.splits --help"
        )
    for name in SPLITS:
        for patient in {patients[row] for row in split.parts[name].tolist()}:
            if owner.setdefault(patient, name) != name:
                leaked.setdefault(patient, {owner[patient]}).add(name)
    if leaked:
        shown = [f"{p} ({' and '.join(sorted(leaked[p], key=SPLITS.index))})" for p in sorted(leaked)]
        shown = [*shown[:5], *([f"and {len(shown) - 5} more"] if len(shown) > 5 else [])]
        who = f"{plural(len(leaked), 'patient')} {'is' if len(leaked) == 1 else 'are'}"
        raise InputError(
            f"split {split.name!r} leaks: {who} in more than one part: {', '.join(shown)}; a patient belongs to one. "
            "Make the split again: python -m tfds_builders.splits --help"
        )
    rows, times = np.unique(every, return_counts=True)
    if (times > 1).any():
        raise InputError(
            f"split {split.name!r} names {plural((times > 1).sum(), 'row')} twice, such as {rows[times > 1][0]}"
        )


def write(dataset_dir: Path, split: Split) -> Path:
    """Store a split as ``splits/<name>.json``."""
    path = Path(dataset_dir) / FOLDER / f"{split.name}.json"
    path.parent.mkdir(exist_ok=True)
    parts = {name: rows.tolist() for name, rows in split.parts.items()}
    path.write_text(json.dumps(parts) + "\n", encoding="utf-8")
    return path


def read(dataset_dir: Path | str, name: str) -> Split:
    """Read a stored split; :func:`check` says whether it holds.

    Raises:
      InputError: no split of that name (with those that exist), or not three lists of rows.
    """
    folder = Path(dataset_dir) / FOLDER
    path = folder / f"{name}.json"
    names = [p.stem for p in folder.glob("*.json")]
    if name not in names:
        raise InputError(f"{dataset_dir} has no split {name!r}; {suggest(name, names)}. Set --config.data.split=…")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        parts = [np.array([int(row) for row in values[part]], np.int64) for part in SPLITS]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not hold the lists train, val and test of row numbers ({error!r})") from error
    return Split(name, *parts)


def describe(table: pl.DataFrame, split: Split) -> str:
    """``split default: train 8 patients, 40 scans; val …``."""
    patients = np.array(table["patient"].to_list(), dtype=str)
    sizes = [
        f"{part} {plural(len(set(patients[rows].tolist())), 'patient')}, {plural(len(rows), 'scan')}"
        for part, rows in split.parts.items()
    ]
    return f"split {split.name}: {'; '.join(sizes)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Add a split to a built dataset."""
    parser = argparse.ArgumentParser(prog="python -m tfds_builders.splits", description=main.__doc__, epilog=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data_dir", type=Path, help="folder of a built dataset")
    parser.add_argument("--name", required=True, help="of the new split, for --config.data.split")
    parser.add_argument("--seed", type=int, default=0, help="another seed deals the patients out differently")
    parser.add_argument("--fractions", type=float, nargs=3, default=FRACTIONS, metavar=("TRAIN", "VAL", "TEST"))
    args = parser.parse_args(arguments)
    return exit_code(lambda: add(args.data_dir, args.name, args.fractions, args.seed))


def add(data_dir: Path, name: str, fractions: Sequence[float], seed: int) -> None:
    """Make a split of a built dataset, write it beside the others and say what it holds.

    Raises:
      InputError: no dataset there, an impossible or taken name, or impossible fractions.
    """
    check_complete(data_dir)
    if not re.fullmatch(r"[A-Za-z0-9_+.-]{1,32}", name) or name.startswith("."):
        raise InputError(f"--name is {name!r}; it is one word of 1 to 32 letters, digits and _ + . -")
    if (data_dir / FOLDER / f"{name}.json").exists():
        raise InputError(f"{data_dir} already has a split {name!r}; choose another --name")
    table = read_table(data_dir)
    split = make(table, fractions, seed, name)
    check(table["patient"].to_list(), split)
    print(describe(table, split))
    print(write(data_dir, split))


if __name__ == "__main__":
    sys.exit(main())
