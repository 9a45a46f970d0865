import dataclasses

import polars as pl

from learner_jax.config import DataConfig
from learner_jax.data import cohort as cohorts
from learner_jax.evaluators.census import census
from tfds_builders import splits


def test_counts_are_those_of_the_table(tiny_dataset):
    cohort = cohorts.load(DataConfig(dir=str(tiny_dataset), score="sf_ratio", frames=4, size=32))
    table = pl.read_parquet(tiny_dataset / "cohort.parquet")
    rows = splits.read(tiny_dataset, "default").rows(table["patient"].to_list())
    found = census(cohort, "test")
    assert (found["modality"], found["axis0"]) == ("ultrasound", "time")
    assert found["scan_shape"] == list(cohort.meta.scan_shape)
    for name, part in found["parts"].items():
        own = table[rows[name]]
        assert part["patients"] == own["patient"].n_unique()
        assert part["visits"] == own.select("patient", "visit").n_unique()
        assert (part["scans"], part["labeled scans"]) == (own.height, own["score.sf_ratio"].is_not_nan().sum())
        assert part["views"] == dict(own.group_by("view").len().rows())
    assert list(census(cohort, "val")["parts"]) == ["train", "val"]
    single = dataclasses.replace(cohort, train=cohort.train[:1])
    assert census(single, "test")["parts"]["train"]["visits"] == 1
