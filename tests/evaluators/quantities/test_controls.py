"""Swapped visits, a visit with itself, and patients who never move."""

import numpy as np
import pytest
import scipy.stats


@pytest.fixture
def one(said):
    """Patients 0 to 4 never move by more than the threshold of 2."""
    made = said(seed=1, patients=12, visits=5, views=1)
    seen = made.truth.observations
    seen.score[seen.patient < 5] = 3 + seen.visit[seen.patient < 5] % 3
    truth = type(made.truth).of(seen, "visits", "all", 2.0)
    return type(made)(**{**made.__dict__, "truth": truth})


def test_null_controls_are_those_whose_pairs_are_all_stable(one, values):
    found, truth = values(one, "controls"), one.truth
    null = truth.patient < 5
    assert found["null_false_change"] == pytest.approx(np.mean(one.change[null] != 0), rel=1e-6)
    moved = truth.change != 0
    expected = np.abs(one.delta[null]).mean() / np.abs(one.delta[moved]).mean()
    assert found["null_size"] == pytest.approx(expected, rel=1e-5)


def test_the_trend_is_kendalls_tau_with_time(one, values):
    """tau-a: predicted ties count as neither concordant nor discordant."""
    one.scores[:] = np.random.default_rng(0).permutation(len(one.scores))  # no ties, where tau-a is tau-b
    one.delta[:] = one.scores[one.truth.second] - one.scores[one.truth.first]
    taus = [scipy.stats.kendalltau(np.arange(5), one.scores[one.truth.patient_of == p]).statistic for p in range(5)]
    assert values(one, "controls")["null_trend"] == pytest.approx(np.mean(taus), abs=1e-6)
    one.delta[:] = 1.0
    assert values(one, "controls")["null_trend"] == pytest.approx(1)


def test_swaps_and_self_pairs_are_counted(one, values):
    one.swapped[:] = -one.change
    one.swapped[:6] = 7
    one.with_itself[:3] = 1
    found = values(one, "controls")
    assert found["swap_consistency"] == pytest.approx(1 - 6 / len(one.change), rel=1e-6)
    assert found["self_pair_false_change"] == pytest.approx(3 / len(one.with_itself), rel=1e-6)


def test_without_null_controls_they_are_undefined(said, values):
    found = values(said(seed=1, patients=4, visits=6, views=1), "controls")
    assert np.isnan(found["null_trend"])
    assert np.isnan(found["null_false_change"])
