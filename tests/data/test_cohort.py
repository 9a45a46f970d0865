"""The cohort as training and evaluation see it: which rows are whose, and what stops a start."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from learner_jax.config import DataConfig
from learner_jax.data import cohort as cohorts
from tfds_builders.errors import InputError


@pytest.fixture
def dataset(tiny_dataset, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_dataset, tmp_path / "dataset"))


def load(folder: Path, **fields) -> cohorts.Cohort:
    return cohorts.load(DataConfig(dir=str(folder), score="sf_ratio", **fields))


def test_rows_of_a_part_are_the_scans_of_its_patients(dataset):
    cohort = load(dataset)
    owner = pl.read_parquet(dataset / "cohort.parquet")["patient"].to_list()
    stored = json.loads((dataset / "splits/default.json").read_text())
    for part in ("train", "val", "test"):
        assert getattr(cohort, part).tolist() == [row for row, p in enumerate(owner) if p in stored[part]]


def test_a_patient_whom_the_split_does_not_name_is_in_no_part(dataset):
    before = load(dataset)
    path = dataset / "splits/default.json"
    stored = json.loads(path.read_text())
    left_out = stored["train"].pop()
    path.write_text(json.dumps(stored))
    cohort = load(dataset)
    code = cohort.patients.index(left_out)
    assert code in before.patient[before.train]
    assert code not in cohort.patient[np.concatenate([cohort.train, cohort.val, cohort.test])]
    assert cohort.fingerprints["split"] != before.fingerprints["split"]


def test_identical_pixels_in_two_parts_stop_the_start(dataset):
    cohort = load(dataset)
    pair = [int(cohort.train[0]), int(cohort.test[0])]
    (dataset / "duplicates.json").write_text(json.dumps([pair]))
    with pytest.raises(InputError, match=f"1 picture with identical pixels in more than one part: row {pair[0]} "):
        load(dataset)


def test_a_split_of_another_key_stops_the_start(dataset):
    path = dataset / "splits/default.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"key_fingerprint": "0123456789abcdef"}))
    with pytest.raises(InputError, match="they cannot be matched; build the dataset with that key"):
        load(dataset)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda frame: frame.head(50), "50 rows"),
        (lambda frame: pl.concat([frame, frame.head(1)]), "73 rows"),
        (lambda frame: frame.drop("site"), "no column 'site'"),
        (lambda frame: frame.drop("score.sf_ratio"), "no column 'score.sf_ratio'"),
    ],
)
def test_a_table_that_is_not_that_of_the_records_stops_the_start(dataset, change, found):
    path = dataset / "cohort.parquet"
    change(pl.read_parquet(path)).write_parquet(path)
    for start in (load, lambda folder: cohorts.load_unscored(folder, ("L1",))):
        with pytest.raises(InputError, match=rf"cohort.parquet has {found}, and 72 records were built with a row for"):
            start(dataset)
