"""Coarse order and error: a loop over pairs, and the linear part of large cohorts."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import mean_absolute_error, r2_score

from learner_jax.evaluators.quantities import coarse


def test_errors_are_scikit_learns(said, values):
    one = said(seed=3, patients=30, visits=3, views=1, unlabeled=0.2)
    true, found = one.truth.observations.score, values(one, "coarse")
    assert found["score_mae"] == pytest.approx(mean_absolute_error(true, one.scores), rel=1e-6)
    assert found["score_r2"] == pytest.approx(r2_score(true, one.scores), abs=1e-6)
    assert found["score_spearman"] == pytest.approx(scipy.stats.spearmanr(true, one.scores).statistic, abs=2e-6)


def test_copies_of_one_score_have_no_variance_to_explain(said, values):
    """Three patients with one visit each: a ninth of the draws contain only one of them."""
    one = said(seed=8, patients=3, visits=1, views=1)
    for drawn in 3 * np.eye(3):
        assert np.isnan(values(one, "coarse", drawn)["score_r2"]), drawn
    twice = np.array([2, 1, 0])
    true, guessed = (np.repeat(x, twice) for x in (one.truth.observations.score, one.scores))
    assert values(one, "coarse", twice)["score_r2"] == pytest.approx(r2_score(true, guessed), rel=1e-5)


def scores(m: int, patients: int, seed: int = 5):
    rng = np.random.default_rng(seed)
    return *(rng.integers(0, 6, m).astype(np.float32) for _ in range(2)), rng.integers(0, patients, m).astype(np.int32)


def test_c_index_is_the_loop_and_copies_of_a_patient_are_never_compared():
    score, said, patient = scores(300, 40)
    drawn = np.random.default_rng(0).integers(0, 3, 64).astype(np.float32) * (np.arange(64) < 40)
    sums = coarse.coarse_order(score, said, patient, 64)
    for weight in ((np.arange(64) < 40).astype(np.float32), drawn):
        right = comparable = 0.0
        for i, j in itertools.combinations(range(300), 2):
            if patient[i] != patient[j] and score[i] != score[j]:
                w = weight[patient[i]] * weight[patient[j]]
                agree = np.sign(score[i] - score[j]) * np.sign(said[i] - said[j])
                right, comparable = right + w * (1 + agree) / 2, comparable + w
        assert float(coarse.c_index(sums, jnp.asarray(weight)[:, None])[0]) == pytest.approx(
            right / comparable, rel=1e-6
        )
    expected = sum(patient[i] != patient[j] and score[i] != score[j] for i, j in itertools.combinations(range(300), 2))
    assert coarse.count_coarse_pairs(score, patient) == expected


def test_sums_of_single_patients_are_those_of_the_loop(monkeypatch):
    monkeypatch.setattr(coarse, "MOST_PATIENTS", 10)
    score, said, patient = scores(300, 40)
    right, comparable = np.zeros(64), np.zeros(64)
    for i, j in itertools.permutations(range(300), 2):
        if patient[i] != patient[j] and score[i] != score[j]:
            comparable[patient[i]] += 1
            right[patient[i]] += (1 + np.sign(score[i] - score[j]) * np.sign(said[i] - said[j])) / 2
    found = coarse.coarse_order(score, said, patient, 64)
    np.testing.assert_array_equal(found["comparable"], comparable)
    np.testing.assert_array_equal(found["right"], right)


def test_many_patients_take_the_linear_part(monkeypatch):
    score, said, patient = scores(900, 300)
    whole = coarse.coarse_order(score, said, patient, 320)
    monkeypatch.setattr(coarse, "MOST_PATIENTS", 100)
    linear = coarse.coarse_order(score, said, patient, 320)
    assert linear["right"].shape == (320,)
    np.testing.assert_allclose(linear["comparable"], whole["comparable"].sum(0) + whole["comparable"].sum(1), rtol=1e-6)
    rng = np.random.default_rng(0)
    drawn = np.zeros((320, 500), np.float32)
    drawn[:300] = rng.multinomial(300, np.full(300, 1 / 300), 500).T
    drawn[:300, 0] = 1
    exact, close = (np.asarray(coarse.c_index(sums, jnp.asarray(drawn))) for sums in (whole, linear))
    assert close[0] == pytest.approx(exact[0], rel=1e-6)
    assert close[1:].std() == pytest.approx(exact[1:].std(), rel=0.03)
    assert np.corrcoef(close[1:], exact[1:])[0, 1] > 0.99
