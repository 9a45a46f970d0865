"""Intensities of stored scans equal those of numpy, whatever batches they are read in; and what is unlike them."""

import json

import numpy as np

from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import open_reader
from learner_jax.evaluators import intensities as under_test
from learner_jax.evaluators.intensities import Range, intensities


def test_mean_and_sd_of_each_whole_stored_scan(make_config, monkeypatch):
    data = make_config().data
    data.frames, data.size = 1, 16  # what a backbone sees changes nothing
    cohort = cohorts.load(data)
    reader = open_reader(cohort, data)
    rows = np.arange(70)[::-1]
    found, readable = intensities(reader, rows)
    scans = [record["scan"].astype(np.float64) * np.float32(1 / 255) for record in reader.records.read(rows)]
    np.testing.assert_allclose(found, [[scan.mean(), scan.std()] for scan in scans], rtol=1e-12)
    assert readable.all()
    monkeypatch.setattr(under_test, "_READ_AT_ONCE", 7)
    np.testing.assert_array_equal(intensities(reader, rows)[0], found)
    assert intensities(reader, rows[:0])[0].shape == (0, 2)


def test_a_range_is_widened_by_half_its_width():
    known = Range.of(np.array([[0.2, 0.10], [0.4, 0.12], [0.3, 0.16]]))
    assert known == Range((0.2, 0.4), (0.10, 0.16))
    assert Range.from_json(json.loads('{"mean": [0.2, 0.4], "sd": [0.1, 0.16]}')) == known
    for mean, sd in ((0.1001, 0.1), (0.4999, 0.1), (0.3, 0.0701), (0.3, 0.1899)):
        assert known.unlike(mean, sd) == ""
    for mean, sd, words in (
        (0.09, 0.1, "its mean intensity is 0.09, and those of the training scans lie from 0.2 to 0.4 (0.1 to 0.5"),
        (0.51, 0.1, "its mean intensity is 0.51"),
        (0.3, 0.06, "its SD intensity is 0.06"),
        (0.3, 0.2, "its SD intensity is 0.2"),
    ):
        assert known.unlike(mean, sd).startswith(words)
    alone = Range.of(np.array([[0.3, 0.1]]))
    assert alone.unlike(0.3, 0.1) == ""
    assert alone.unlike(0.3, 0.2)
