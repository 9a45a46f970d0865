"""A read-out's promises for a new patient: kept for simulated ones, equal to a brute-force quantile, or not made."""

import dataclasses
import json

import numpy as np
import pytest

from learner_jax.evaluators import readouts
from learner_jax.evaluators.readouts import Readout
from learner_jax.evaluators.readouts.calibration import Calibration, calibrate
from learner_jax.evaluators.statistics.conformal import conformal_quantile


def draw(rng, patients):
    """Errors of patients who are each hard or easy, with 1 to 15 pairs: as dependent as pairs can be."""
    pairs = rng.integers(1, 16, patients)
    patient = np.repeat(np.arange(patients), pairs)
    return rng.normal(size=len(patient)) * rng.gamma(1.0, 2.0, patients)[patient], patient


def test_the_share_of_new_patients_pairs_within_the_interval():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        error, patient = draw(rng, 30)
        found = calibrate(None, np.zeros(len(error), int), error, patient)
        error, patient = draw(rng, 20)
        within = np.abs(error) <= found.half_width
        covered.append(np.mean(np.bincount(patient, within) / np.bincount(patient)))
    assert np.mean(covered) == pytest.approx(0.915, abs=0.02)  # between 0.9 and 0.9 + 1 / 31


@pytest.mark.parametrize("patients", [9, 10, 23, 60])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_equals_the_least_bound_that_a_search_finds(patients, coverage):
    error, patient = draw(np.random.default_rng(patients), patients)
    misfit = np.round(np.abs(error), 1)  # tied

    def mass(bound):  # of each patient the share of pairs within, each weighing 1 / (n + 1)
        return sum(np.mean(misfit[patient == p] <= bound) for p in range(patients)) / (patients + 1)

    least = min(bound for bound in misfit if mass(bound) >= coverage - 1e-9)
    assert conformal_quantile(misfit, patient, coverage) == least


def test_nine_patients_promise_nine_tenths_and_eight_nothing():
    error, change = np.arange(9.0), np.zeros(9, int)
    p = np.stack([np.zeros(9), 1 - error / 10, error / 10], axis=1)
    assert calibrate(p, change, error, np.arange(9)) == Calibration(0.9, 9, 1 - (1 - 8.0 / 10), 8.0)
    few = calibrate(p[:8], change[:8], error[:8], np.arange(8))
    assert few == Calibration(0.9, 8, None, None)
    assert few.least_patients == 9
    assert dataclasses.replace(few, coverage=0.8).least_patients == 4
    assert calibrate(None, change[:0], None, change[:0]) == Calibration(0.9, 0, None, None)


@pytest.mark.parametrize("name", ["ridge", "knn", "linear", "lilac"])
def test_a_read_out_keeps_its_calibration(name, splits, context, tmp_path):
    train, val, _ = splits(patients=12)
    found = readouts.fit(name, train, val, context())
    found.write(tmp_path, name)
    assert Readout.read(tmp_path, name).calibration == found.calibration
    assert found.calibration.n_patients == 12
    assert 0 <= found.calibration.level <= 1
    assert (found.calibration.half_width is not None) == found.model.in_score_units
    few = readouts.fit(name, train, val.take(np.flatnonzero(val.patient < val.patient.min() + 8)), context())
    few.write(tmp_path, "few")
    stored = json.loads((tmp_path / "few.json").read_text(), parse_constant=pytest.fail)["calibration"]
    assert stored == {"coverage": 0.9, "half_width": None, "level": None, "n_patients": 8}


def test_the_interval_of_a_ridge_is_of_its_errors_in_score_units(splits, context):
    train, val, _ = splits(patients=12, visits=2)  # one pair of each patient: plain split conformal prediction
    found = readouts.fit("ridge", train, val, context())
    val = val.sorted()
    error = np.abs(found.delta(val.u[::2], val.u[1::2]) - (val.score[1::2] - val.score[::2]))
    assert found.calibration.half_width == pytest.approx(np.sort(error)[int(np.ceil(0.9 * 13)) - 1], rel=1e-12)
