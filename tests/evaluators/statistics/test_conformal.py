"""Sets cover new patients as promised, even if pairs of one patient are alike."""

import numpy as np
import pytest

from learner_jax.evaluators.statistics.conformal import conformal_level, conformal_sets


def draw(rng, patients):
    """Pairs of patients who are each hard or easy: as dependent as pairs can be."""
    pairs = rng.integers(1, 16, patients)
    patient = np.repeat(np.arange(patients), pairs)
    skill = rng.beta(1, 1, patients)[patient]
    change = rng.integers(-1, 2, len(patient))
    p = np.full((len(patient), 3), 1.0) + 8 * np.eye(3)[np.where(rng.random(len(patient)) < skill, change, 0) + 1]
    p += rng.random(p.shape)
    return p / p.sum(1, keepdims=True), change, patient


def test_the_share_of_new_patients_pairs_that_are_covered():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        level = conformal_level(*draw(rng, 30), 0.9)
        p, change, patient = draw(rng, 20)
        hit = conformal_sets(p, level)[np.arange(len(change)), change + 1]
        covered.append(np.mean(np.bincount(patient, hit) / np.bincount(patient)))
    assert np.mean(covered) == pytest.approx(0.915, abs=0.02)


def test_one_pair_a_patient_is_split_conformal_prediction():
    rng = np.random.default_rng(1)
    p, change = rng.dirichlet([1, 1, 1], 50), rng.integers(-1, 2, 50)
    misfit = np.sort(1 - p[np.arange(50), change + 1])
    assert conformal_level(p, change, np.arange(50), 0.9) == misfit[int(np.ceil(0.9 * 51)) - 1]


def test_few_patients_promise_nothing():
    p, change = np.full((8, 3), 1 / 3), np.zeros(8, int)
    assert conformal_level(p, change, np.arange(8), 0.9) == np.inf
    assert conformal_sets(p, np.inf).all()
