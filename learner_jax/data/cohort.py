"""The cohort as arrays: who was scanned when, with which score, and in which split."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from learner_jax.config import DataConfig
from learner_jax.data.coarse import in_grades, training_rows
from tfds_builders import cohort as table
from tfds_builders import splits
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta, check_complete
from tfds_builders.splits import Split
from tfds_builders.wording import plural, suggest

_COLUMNS = ("patient", "scan_id", "site", "visit", "time_days", "view")


@dataclasses.dataclass(frozen=True)
class Cohort:
    """``n`` scans, one entry each, in the order of the records.

    ``score`` is in score units and NaN where unlabeled; with ``score_cuts``, training patients have the mean of their
    grade. :meth:`standardise` maps it to what objectives see. ``train`` holds the rows that training may see: with
    ``visits_per_patient = one``, those of a single visit of each training patient.
    """

    meta: DatasetMeta
    patient: np.ndarray  # i32 [n], index into patients
    visit: np.ndarray  # i32 [n]
    view: np.ndarray  # i32 [n], index into views
    site: np.ndarray  # i32 [n], index into sites
    time_days: np.ndarray  # f32 [n], since the patient's first visit
    score: np.ndarray  # f32 [n]
    covariates: dict[str, np.ndarray]  # name -> f32 [n], NaN where unknown
    patients: tuple[str, ...]  # keyed hashes
    views: tuple[str, ...]
    sites: tuple[str, ...]
    scan_ids: tuple[str, ...]  # keyed hash of each scan
    train: np.ndarray  # i64 rows
    val: np.ndarray
    test: np.ndarray
    score_mean: float  # of the labeled training rows
    score_std: float
    split: Split  # which patients are in which part; some may have no scan here

    def standardise(self, score: np.ndarray) -> np.ndarray:
        """Score units -> mean 0 and SD 1 on the labeled training rows."""
        return ((score - self.score_mean) / self.score_std).astype(np.float32)

    @property
    def labeled_train(self) -> np.ndarray:
        """Training rows that carry the score, from which the stream is drawn."""
        return self.train[np.isfinite(self.score[self.train])]

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints that must match a checkpoint's: of the records, the split, and the rows that training draws."""
        rows = hashlib.sha256(self.labeled_train.astype("<i8").tobytes()).hexdigest()[:16]
        return {"data": self.meta.fingerprint, "split": self.split.fingerprint, "training_rows": rows}


def load(config: DataConfig) -> Cohort:
    """Read the cohort table and the split of a built dataset, and check that no patient and no pixels are in two parts.

    Raises:
      InputError: the dataset is missing or incomplete, its table does not match its records, the score or split is
        unknown, a patient or identical pixels are in two parts, or training has no labeled scan or only equal scores.
    """
    folder = Path(config.dir)
    check_complete(folder)
    meta = DatasetMeta.read(folder)
    if config.score not in meta.scores:
        raise InputError(
            f"{folder} has no score {config.score!r}; {suggest(config.score, meta.scores)}. Set --config.data.score=…"
        )
    frame = _table(folder, meta)
    hashes = frame["patient"].to_list()
    split = splits.read(folder, config.split)
    splits.check(hashes, split, splits.duplicates(folder))
    rows = split.rows(hashes)

    fields = _fields(frame)
    score = frame[f"score.{config.score}"].to_numpy().astype(np.float32)
    train = training_rows(
        rows["train"], config, fields["patients"], fields["patient"], fields["visit"], np.isfinite(score)
    )
    if config.score_cuts:
        score = in_grades(score, config.score_cuts, train, rows["train"])
    known = score[train][np.isfinite(score[train])].astype(np.float64)
    if known.size == 0:
        raise InputError(
            f"split {config.split!r} of {folder} has {len(rows['train'])} training scans and none carries the score "
            f"{config.score!r}; choose another with --config.data.score=… or another split with --config.data.split=…"
        )
    if known.std() == 0:
        graded = f", cut into grades at {config.score_cuts} (--config.data.score_cuts)" if config.score_cuts else ""
        raise InputError(
            f"all {known.size} training scans of {folder} have {config.score} = {known[0]:g}{graded}; there is nothing "
            "to learn between patients. Choose another with --config.data.score=…"
        )
    return Cohort(
        meta=meta,
        **fields,
        score=score,
        train=train,
        val=rows["val"],
        test=rows["test"],
        score_mean=float(known.mean()),
        score_std=float(known.std()),
        split=split,
    )


def load_unscored(folder: Path | str, views: tuple[str, ...]) -> Cohort:
    """All scans of a built dataset, in no part and without scores, as prediction needs them.

    Args:
      folder: of the dataset.
      views: the vocabulary that ``Cohort.view`` indexes.

    Raises:
      InputError: the dataset is missing or incomplete, its table does not match its records, or it has a view that is
        not in ``views``.
    """
    check_complete(Path(folder))
    meta = DatasetMeta.read(folder)
    frame = _table(folder, meta)
    if unknown := sorted(set(frame["view"].to_list()) - set(views)):
        raise InputError(
            f"{folder} has scans of the view {unknown[0]!r}, which the run has not seen; {suggest(unknown[0], views)}"
        )
    none = np.zeros(0, np.int64)
    return Cohort(
        meta=meta,
        **_fields(frame, views),
        score=np.full(frame.height, np.nan, np.float32),
        train=none,
        val=none,
        test=none,
        score_mean=0.0,
        score_std=1.0,
        split=Split("none", (), (), ()),
    )


def _table(folder: Path | str, meta: DatasetMeta) -> pl.DataFrame:
    """The cohort table, checked to have the columns and the number of rows that its records were built with."""
    frame = table.read_table(folder)
    columns = (*_COLUMNS, *(f"score.{name}" for name in meta.scores))
    missing = [name for name in columns if name not in frame.columns]
    if missing or frame.height != meta.n_scans:
        found = f"no column {missing[0]!r}" if missing else plural(frame.height, "row")
        raise InputError(
            f"{Path(folder) / table.TABLE_FILE} has {found}, and {plural(meta.n_scans, 'record')} were built with a "
            "row for each: it has been changed since. Put it back, or build the dataset again with --overwrite; whom "
            "to leave out is said in a split (python -m tfds_builders.splits --help)"
        )
    return frame


def _fields(frame: pl.DataFrame, views: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The fields of a Cohort that depend on its table alone."""
    patients, patient = _codes(frame["patient"].to_list())
    views, view = _codes(frame["view"].to_list(), views)
    sites, site = _codes(frame["site"].to_list())
    return {
        "patient": patient,
        "visit": frame["visit"].to_numpy().astype(np.int32),
        "view": view,
        "site": site,
        "time_days": frame["time_days"].to_numpy().astype(np.float32),
        "covariates": _covariates(frame),
        "patients": patients,
        "views": views,
        "sites": sites,
        "scan_ids": tuple(frame["scan_id"].to_list()),
    }


def _codes(values: list[str], names: tuple[str, ...] | None = None) -> tuple[tuple[str, ...], np.ndarray]:
    """The vocabulary, ``names`` or the sorted distinct values, and each value's index in it."""
    names = names or tuple(sorted(set(values)))
    index = {name: i for i, name in enumerate(names)}
    return names, np.array([index[v] for v in values], np.int32)


def _covariates(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    names = [name for name in frame.columns if name.startswith("covariate.")]
    return {name.removeprefix("covariate."): frame[name].to_numpy().astype(np.float32) for name in names}
