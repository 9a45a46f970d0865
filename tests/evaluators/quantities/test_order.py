"""Order against scipy, scikit-learn and loops over all pairs."""

import itertools

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score


@pytest.fixture(params=[0.0, 0.4], ids=["ties", "ties and unlabeled"])
def one(request, said):
    return said(seed=3, patients=9, visits=6, views=1, unlabeled=request.param)


def test_accuracies_are_the_loop_over_pairs(one, values):
    seen, owner = one.truth.observations.score, one.truth.patient_of
    right, comparable = np.zeros(one.truth.n_patients), np.zeros(one.truth.n_patients)
    for i, j in itertools.combinations(range(len(seen)), 2):
        if owner[i] == owner[j] and seen[i] != seen[j]:
            comparable[owner[i]] += 1
            agree = (one.scores[i] - one.scores[j]) * (seen[i] - seen[j])
            right[owner[i]] += 1 if agree > 0 else 0.5 if agree == 0 else 0
    found = values(one, "order")
    assert found["pairwise_accuracy"] == pytest.approx(right.sum() / comparable.sum(), rel=1e-6)
    assert found["c_index"] == found["pairwise_accuracy"]
    some = comparable > 0
    assert found["pairwise_accuracy_per_patient"] == pytest.approx(np.mean(right[some] / comparable[some]), rel=1e-6)


def test_neighbours_are_scored_and_the_c_index_takes_all(said, values):
    one = said(seed=2, patients=9, visits=6, views=1, order="consecutive")
    assert one.truth.scored.sum() == 9 * 5
    found, everything = values(one, "order"), values(said(seed=2, patients=9, visits=6, views=1), "order")
    assert found["c_index"] == everything["c_index"]
    assert found["kendall_tau_b"] == everything["kendall_tau_b"]
    neighbours = np.flatnonzero(one.truth.scored & (one.truth.delta != 0))
    right = (1 + np.sign(one.truth.delta[neighbours]) * np.sign(one.delta[neighbours])) / 2
    assert found["pairwise_accuracy"] == pytest.approx(right.mean(), rel=1e-6)


def test_tau_is_scipys_of_each_patient(one, values):
    one.scores[one.truth.patient_of == 2] = 4.0  # a patient in whom everything is predicted alike
    truth = one.truth
    one.delta[:] = one.scores[truth.second] - one.scores[truth.first]
    taus = []
    for p in range(truth.n_patients):
        mine = truth.patient_of == p
        if len(np.unique(truth.observations.score[mine])) > 1:
            tau = scipy.stats.kendalltau(truth.observations.score[mine], one.scores[mine]).statistic
            taus.append(0.0 if np.isnan(tau) else tau)
    assert values(one, "order")["kendall_tau_b"] == pytest.approx(np.mean(taus), abs=1e-6)


def test_direction_is_scikit_learns_auroc(one, values):
    moved = one.truth.change != 0
    expected = roc_auc_score(one.truth.change[moved] > 0, one.delta[moved])
    assert values(one, "direction")["direction_auroc"] == pytest.approx(expected, abs=1e-6)


def test_repeated_measures_correlation_is_the_analysis_of_covariance(one, values):
    """One slope for all patients, an intercept for each: r² is the share of the remaining variance that it explains."""
    truth = one.truth
    x, y = truth.observations.score.astype(float), one.scores
    patients = np.eye(truth.n_patients)[truth.patient_of]
    whole = np.column_stack([patients, x])
    rest = y - patients @ np.linalg.lstsq(patients, y, rcond=None)[0]
    slope = np.linalg.lstsq(whole, y, rcond=None)[0]
    explained = 1 - np.sum((y - whole @ slope) ** 2) / np.sum(rest**2)
    assert values(one, "order")["rm_correlation"] == pytest.approx(np.sign(slope[-1]) * explained**0.5, abs=1e-6)


def test_scans_are_correlated_about_the_mean_of_their_visit(said, values):
    one = said(seed=3, mode="scans", patients=9, visits=3, views=4, unlabeled=0.4)
    seen = one.truth.observations
    x, y = seen.score.astype(float), one.scores.copy()
    for visit in set(zip(seen.patient.tolist(), seen.visit.tolist(), strict=True)):
        mine = (seen.patient == visit[0]) & (seen.visit == visit[1])
        x[mine], y[mine] = x[mine] - x[mine].mean(), y[mine] - y[mine].mean()
    assert values(one, "order")["rm_correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


def test_no_movement_is_undefined(said, values):
    one = said(seed=1, patients=5, visits=3, views=1)
    still = one.truth.observations.take(np.arange(15))
    still.score[:] = 4
    truth = type(one.truth).of(still, "visits", "all", 2.0)
    found = values(type(one)(**{**one.__dict__, "truth": truth}), "order")
    assert all(np.isnan(value) for value in found.values())
