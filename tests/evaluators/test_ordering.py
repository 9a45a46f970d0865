"""Order against scipy and against loops over all pairs."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from learner_jax.evaluators import ordering
from learner_jax.evaluators.pairs import fine_pairs, observe


@pytest.fixture(params=[0.0, 0.4], ids=["ties", "ties and unlabeled"])
def visits(request, scans):
    """Observations, predictions with ties, and the pairs padded as the scorer pads them."""
    o = observe(**scans(seed=3, patients=9, visits=6, views=1, unlabeled=request.param), mode="visits")
    predicted = np.round(np.where(np.isnan(o.score), 0, o.score) + np.random.default_rng(0).normal(0, 3, len(o)))
    predicted[o.patient == 2] = 4.0  # one patient in whom everything is predicted alike
    o.score[o.patient == 3] = np.where(np.isnan(o.score[o.patient == 3]), np.nan, 5.0)  # and one who never moves
    pairs = fine_pairs(o, "visits", "all")
    k, extra = len(pairs), 256 - len(pairs)

    def pad(x):
        return jnp.asarray(np.pad(x, (0, extra), constant_values=1))

    arrays = [
        pad((x[pairs.second] - x[pairs.first]).astype(np.float32)) for x in (o.score, predicted.astype(np.float32))
    ]
    return o, predicted, (*arrays, pad(pairs.patient.astype(np.int32)), jnp.arange(256) < k)


def test_pairwise_accuracy_is_the_loop_over_pairs(visits):
    o, predicted, padded = visits
    right = comparable = 0
    for i, j in itertools.combinations(range(len(o)), 2):
        if o.patient[i] == o.patient[j] and not np.isnan(o.score[i] - o.score[j]) and o.score[i] != o.score[j]:
            comparable += 1
            agree = (predicted[i] - predicted[j]) * (o.score[i] - o.score[j])
            right += 1 if agree > 0 else 0.5 if agree == 0 else 0
    sums = ordering.pair_order(*padded, n_patients=16)
    assert float(sums["comparable"].sum()) == comparable
    assert float(ordering.pairwise_accuracy(sums, jnp.ones(16))) == pytest.approx(right / comparable, rel=1e-6)


def test_tau_is_scipys_of_each_patient(visits):
    o, predicted, padded = visits
    expected = np.full(16, np.nan)
    for p in range(9):
        mine = (o.patient == p) & ~np.isnan(o.score)
        if len(np.unique(o.score[mine])) > 1:
            tau = scipy.stats.kendalltau(o.score[mine], predicted[mine]).statistic if p != 2 else 0.0
            expected[p] = 0.0 if np.isnan(tau) else tau
    found = ordering.patient_tau(*padded, n_patients=16)
    np.testing.assert_array_equal(found["defined"] > 0, ~np.isnan(expected))
    np.testing.assert_allclose(found["tau"], np.nan_to_num(expected), atol=1e-6)
    assert float(ordering.mean_tau(found, jnp.ones(16))) == pytest.approx(np.nanmean(expected), rel=1e-5)


def test_c_index_is_the_loop_and_copies_of_a_patient_are_never_compared():
    rng = np.random.default_rng(5)
    m, patients = 300, 40
    score, predicted = rng.integers(0, 6, m).astype(np.float32), rng.integers(0, 6, m).astype(np.float32)
    patient = rng.integers(0, patients, m).astype(np.int32)
    counts = rng.integers(0, 3, patients).astype(np.float32)
    mask = rng.random(m) < 0.9
    data = {"score": score, "predicted": predicted, "patient": patient, "mask": mask}
    for weight in (np.ones(patients, np.float32), counts):
        right = comparable = 0.0
        for i, j in itertools.combinations(np.flatnonzero(mask), 2):
            if patient[i] != patient[j] and score[i] != score[j]:
                w = weight[patient[i]] * weight[patient[j]]
                comparable += w
                right += w * (np.sign((score[i] - score[j]) * (predicted[i] - predicted[j])) + 1) / 2
        found = ordering.c_index(ordering.coarse_order(**data, n_patients=patients), jnp.asarray(weight))
        assert float(found) == pytest.approx(right / comparable, rel=1e-6)
        if weight is not counts:
            assert ordering.count_coarse_pairs(score[mask], patient[mask]) == comparable


def test_nothing_to_compare_is_undefined_and_no_warning():
    zero, none = jnp.zeros(8), jnp.zeros(8, bool)
    patient = jnp.zeros(8, jnp.int32)
    assert np.isnan(
        ordering.pairwise_accuracy(ordering.pair_order(zero, zero, patient, none, n_patients=8), jnp.ones(8))
    )
    assert np.isnan(ordering.mean_tau(ordering.patient_tau(zero, zero, patient, none, n_patients=8), jnp.ones(8)))
    assert np.isnan(ordering.c_index(ordering.coarse_order(zero, zero, patient, ~none, n_patients=8), jnp.ones(8)))
