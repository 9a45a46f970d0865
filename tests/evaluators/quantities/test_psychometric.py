"""The psychometric curve: known answers, and the likelihood maximised by scipy."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from learner_jax.evaluators.scoring import draws, estimate


def test_bins_are_those_of_a_loop(said, values):
    one = said(seed=2, patients=30, visits=4, views=1)
    size, moved = np.abs(one.truth.delta), one.truth.delta != 0
    right = np.where(one.delta == 0, 0.5, np.sign(one.delta) == np.sign(one.truth.delta))
    found = {
        at: v for (name, at), v in ((k, v) for k, v in values(one, "psychometric").items() if isinstance(k, tuple))
    }
    assert len(found) >= 3
    for at, value in found.items():
        low, high = map(float, at.split(" to "))
        last = high == size.max()
        inside = moved & (size >= low) & ((size <= high) if last else (size < high))
        assert value == pytest.approx(right[inside].mean(), abs=1e-6)


def test_noticed_change_is_of_maximum_likelihood(said, values):
    one = said(seed=6, patients=60, visits=5, views=1, noise=3.0)
    moved = one.truth.delta != 0
    size = np.abs(one.truth.delta[moved])
    right = np.where(one.delta[moved] == 0, 0.5, np.sign(one.delta[moved]) == np.sign(one.truth.delta[moved]))

    def cost(log_sigma):
        z = size / np.exp(log_sigma)
        return -np.sum(right * norm.logcdf(z) + (1 - right) * norm.logcdf(-z))

    sigma = np.exp(minimize_scalar(cost, bounds=(-4, 5), method="bounded").x)
    assert values(one, "psychometric")["noticed_change"] == pytest.approx(sigma * norm.ppf(0.75), rel=1e-3)


def test_a_known_observer_is_recovered(said, values):
    """Predictions are true differences plus noise of SD 3: right 75 % of the time at 3 · 0.674."""
    one = said(seed=6, patients=400, visits=5, views=1)
    one.delta[:] = one.truth.delta + np.random.default_rng(0).normal(0, 3, len(one.delta))
    assert values(one, "psychometric")["noticed_change"] == pytest.approx(3 * norm.ppf(0.75), rel=0.05)


def test_a_coin_notices_nothing(said, values):
    one = said(seed=6, patients=100, visits=4, views=1)
    one.delta[:] = np.random.default_rng(0).normal(size=len(one.delta))
    assert values(one, "psychometric")["noticed_change"] == np.inf


def test_resamples_beyond_the_largest_change_open_the_interval(said, config):
    """Left out, they would lower the upper limit: it then held the truth in 70 % of simulated cohorts, not 95."""
    one = said(seed=6, patients=30, visits=3, views=1)
    one.delta[:] = one.truth.delta + np.random.default_rng(3).normal(0, 8, len(one.delta))
    found = estimate(one, draws(30, config), ["psychometric"])[-1]
    beyond = np.isinf(found.replicates.drawn)
    assert 0.05 < beyond.mean() < 0.6
    row = found.row(config)
    assert (row.name, row.high) == ("noticed_change", None)
    assert row.low < row.value < np.abs(one.truth.delta).max()
    assert f"{beyond.sum()} of 200 resamples put it beyond" in row.note


def test_each_bin_counts_its_own_patients_and_pairs(said, config):
    one = said(seed=2, patients=30, visits=4, views=1)
    moved = one.truth.delta != 0
    size, patient = np.abs(one.truth.delta)[moved], one.truth.patient[moved]
    bins = [found for found in estimate(one, draws(30, config), ["psychometric"]) if found.at]
    assert sum(found.n[1] for found in bins) == moved.sum()
    for found in bins[:-1]:
        low, high = map(float, found.at.split(" to "))
        inside = (size >= low) & (size < high)
        assert found.n == (len(np.unique(patient[inside])), inside.sum())


def test_a_draw_of_patients_who_never_move_says_nothing(said, values):
    one = said(seed=6, patients=6, visits=3, views=1)
    one.truth.delta[one.truth.patient > 1] = 0
    moves = np.array([1, 1, 0, 0, 0, 0])
    assert np.isfinite(values(one, "psychometric", 3 * moves)["noticed_change"])
    assert np.isnan(values(one, "psychometric", 1 - moves)["noticed_change"])


def test_whoever_is_never_wrong_notices_every_change(said, values):
    """The likelihood rises as σ falls to 0: the end of the grid must not be taken for the estimate."""
    one = said(seed=6, patients=30, visits=4, views=1)
    one.delta[:] = one.truth.delta
    assert values(one, "psychometric")["noticed_change"] == 0
