"""What a split is, when it leaks, and what it holds of a dataset."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from tfds_builders.cohort import SPLITS, first_score
from tfds_builders.errors import InputError
from tfds_builders.wording import first_few, plural

_SHOWN = 5  # patients or pictures that a message names
_AGAIN = "Make another split: python -m tfds_builders.splits --help"


@dataclasses.dataclass(frozen=True)
class Split:
    """The patients for training, validation and test, as keyed hashes; none is in two parts.

    A split names patients, not rows, so it applies to any dataset whose patients were hashed with the same key. A
    patient it does not name belongs to no part.
    """

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def parts(self) -> dict[str, list[str]]:
        """``{"train": patients, "val": patients, "test": patients}``, each sorted."""
        return {part: sorted(getattr(self, part)) for part in SPLITS}

    @property
    def fingerprint(self) -> str:
        """sha256 of the patients of the three parts; it depends neither on the name nor on the dataset."""
        return hashlib.sha256(json.dumps(list(self.parts.values()), separators=(",", ":")).encode()).hexdigest()

    @property
    def part_of(self) -> dict[str, str]:
        """Patient -> part, for all named patients."""
        return {patient: part for part, named in self.parts.items() for patient in named}

    def rows(self, patients: Sequence[str]) -> dict[str, np.ndarray]:
        """Record rows i64 of each part, in ascending order.

        Args:
          patients: hash of each record's patient, in record order.
        """
        part_of = self.part_of
        given = np.array([part_of.get(patient, "") for patient in patients], dtype=str)
        return {part: np.flatnonzero(given == part) for part in SPLITS}


def check(patients: Sequence[str], split: Split, duplicates: Sequence[Sequence[int]] = ()) -> None:
    """Refuse a split that leaks, or that has nothing to do with the dataset.

    Args:
      patients: hash of each record's patient, in record order.
      duplicates: groups of rows whose stored pixels are identical.

    Raises:
      InputError: a patient is named in two parts or twice in one, identical pixels are in different parts, or no
        patient of the dataset is named.
    """
    _refuse_two_parts(split)
    times = Counter(patient for named in split.parts.values() for patient in named)
    twice = sorted(patient for patient, n in times.items() if n > 1)
    if twice:
        raise InputError(f"split {split.name!r} names {plural(len(twice), 'patient')} twice: {_some(twice)}. {_AGAIN}")
    here = set(patients)
    if here.isdisjoint(times):
        raise InputError(
            f"split {split.name!r} names {plural(len(times), 'patient')} and none of the "
            f"{plural(len(here), 'patient')} of this dataset; it was made for others. {_AGAIN}"
        )
    _refuse_parted_pictures(patients, split, duplicates)


def _refuse_two_parts(split: Split) -> None:
    parts_of: dict[str, list[str]] = {}
    for part, named in split.parts.items():
        for patient in set(named):
            parts_of.setdefault(patient, []).append(part)
    leaked = [f"{patient} ({' and '.join(parts)})" for patient, parts in sorted(parts_of.items()) if len(parts) > 1]
    if leaked:
        who = f"{plural(len(leaked), 'patient')} {'is' if len(leaked) == 1 else 'are'}"
        raise InputError(
            f"split {split.name!r} leaks: {who} in more than one part: {_some(leaked)}; a patient belongs to one. "
            f"{_AGAIN}"
        )


def _refuse_parted_pictures(patients: Sequence[str], split: Split, duplicates: Sequence[Sequence[int]]) -> None:
    part_of, parted = split.part_of, []
    for rows in duplicates:
        found = [(row, patients[row], part_of[patients[row]]) for row in rows if patients[row] in part_of]
        if len({part for *_, part in found}) > 1:
            parted.append(" = ".join(f"row {row} ({part}, patient {patient})" for row, patient, part in found))
    if parted:
        raise InputError(
            f"split {split.name!r} leaks: {plural(len(parted), 'picture')} with identical pixels in more than one "
            f"part: {_some(parted)}. Make a split with python -m tfds_builders.splits DATA_DIR --name …, which keeps "
            "these patients together; or leave all but one of them out of the split file, or out of the cohort"
        )


def check_unseen(trained: Split, tested: Collection[str]) -> None:
    """Refuse to test on patients that a run has seen, in whichever dataset.

    Args:
      trained: the split that the run was trained with.
      tested: hashes of the test patients, made with the same key.

    Raises:
      InputError: patients of ``tested`` are in the train or val part; the message says how many and which.
    """
    seen = {part: set(tested) & set(trained.parts[part]) for part in ("train", "val")}
    if not any(seen.values()):
        return
    who = [f"{patient} ({part})" for part, patients in seen.items() for patient in sorted(patients)]
    raise InputError(
        f"{len(who)} of {plural(len(set(tested)), 'test patient')} were seen in training: {len(seen['train'])} in the "
        f"run's train part and {len(seen['val'])} in its val part: {_some(who)}. Choose a split that tests on others "
        "with --config.data.split=…; to make one, take the patients of the run's train and val parts (split.json in "
        "its folder) out of the test part of a copy of the split file and apply it: python -m tfds_builders.splits "
        "DATA_DIR --name NEW --from COPY"
    )


def describe(table: pl.DataFrame, split: Split) -> str:
    """``split default: train 8 patients, 40 scans; val …``, and a line with the first score's mean and range by part.

    Also counts the patients of the table in no part, and those of the split without a scan in the table, if there are
    any.
    """
    patients = np.array(table["patient"].to_list(), dtype=str)
    rows = split.rows(patients)
    told = [f"{part} {_size(patients[mine])}" for part, mine in rows.items()]
    rest = np.delete(patients, np.concatenate(list(rows.values())))
    if rest.size:
        told.append(f"in no part {_size(rest)}")
    absent = split.part_of.keys() - set(patients.tolist())
    if absent:
        told.append(f"{plural(len(absent), 'patient')} named without a scan here")
    lines = [f"split {split.name}: {'; '.join(told)}"]
    score = first_score(table)
    if score:
        means = [f"{part} {_mean_and_range(table[score].to_numpy()[mine])}" for part, mine in rows.items()]
        lines.append(f"mean {score.removeprefix('score.')} (lowest to highest): {'; '.join(means)}")
    return "\n".join(lines)


def _size(patients: np.ndarray) -> str:
    return f"{plural(len(set(patients.tolist())), 'patient')}, {plural(len(patients), 'scan')}"


def _mean_and_range(values: np.ndarray) -> str:
    known = values[np.isfinite(values)].astype(np.float64)
    return f"{known.mean():.4g} ({known.min():.4g} to {known.max():.4g})" if known.size else "unlabeled"


def _some(names: Sequence[str]) -> str:
    return ", ".join(first_few(names, _SHOWN))
