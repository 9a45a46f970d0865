"""Percentile and BCa intervals against scipy, and the notes of a row."""

import numpy as np
import pytest
import scipy.stats

from learner_jax.evaluators.statistics.bootstrap import Replicates
from learner_jax.evaluators.statistics.intervals import bca_interval, make_row, percentile_interval


def test_percentiles_leave_out_what_is_undefined():
    drawn = np.array([0.4, 0.5, np.nan, 0.6])
    assert percentile_interval(drawn, 0.5) == (pytest.approx(0.45), pytest.approx(0.55))
    assert percentile_interval(np.full(3, np.nan), 0.95) == (None, None)


@pytest.mark.parametrize(
    "statistic", [np.mean, np.std, lambda x, axis: np.mean(x, axis) ** 3], ids=["mean", "sd", "cube"]
)
def test_bca_is_scipys_on_the_same_resamples(statistic):
    rng = np.random.default_rng(0)
    sample = rng.exponential(size=25)
    scipys = scipy.stats.bootstrap(
        (sample,), statistic, n_resamples=3000, method="BCa", rng=np.random.default_rng(1), vectorized=True, axis=-1
    )
    left_out = np.array([statistic(np.delete(sample, i), axis=-1) for i in range(25)])
    found = bca_interval(float(statistic(sample, axis=-1)), scipys.bootstrap_distribution, left_out, 0.95)
    expected = scipys.confidence_interval
    assert found == (pytest.approx(expected.low, abs=1e-6), pytest.approx(expected.high, abs=1e-6))
    assert found != percentile_interval(scipys.bootstrap_distribution, 0.95)


def test_bca_where_the_jackknife_says_nothing_is_the_percentile_interval():
    drawn = np.random.default_rng(0).normal(size=200)
    assert bca_interval(0.1, drawn, np.full(9, 0.1), 0.9) == percentile_interval(drawn, 0.9)
    assert bca_interval(9.0, drawn, np.arange(9.0), 0.9) == percentile_interval(drawn, 0.9), "no replicate is above"
    assert bca_interval(0.1, np.full(5, np.nan), np.arange(9.0), 0.9) == (None, None)
    one_decides = np.append(np.zeros(4), 100.0)
    assert bca_interval(0.1, drawn, one_decides, 0.9999, 5) == percentile_interval(drawn, 0.9999, 5)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_lines_say_what_a_reader_must_know(method):
    about = {"method": method, "confidence": 0.95, "n_pairs": 30}
    drawn = np.array([0.4, 0.5, np.nan, 0.6])
    row = make_row("x", Replicates(0.5, drawn, np.array([0.4, 0.5, 0.6])), n_patients=12, **about)
    assert (row.value, row.n_patients, row.n_pairs) == (0.5, 12, 30)
    assert row.note == (
        "12 patients: with fewer than 30 the interval is too narrow; "
        "1 of 4 resamples left it undefined and are left out"
    )
    assert make_row("x", Replicates(0.5, drawn[:2], drawn[:2]), n_patients=30, **about).note == ""
    one = make_row("x", Replicates(0.5, drawn, drawn), n_patients=1, **about)
    assert (one.low, one.high, one.note) == (None, None, "1 patient: an interval needs at least 2")
    none = make_row("x", Replicates(np.nan, drawn, drawn), n_patients=12, undefined="undefined: why", **about)
    assert (none.value, none.low, none.note) == (None, None, "undefined: why")


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_limit_beyond_the_data_is_open(method):
    drawn = np.append(np.linspace(1, 2, 180), np.full(20, np.inf))
    row = make_row("x", Replicates(1.5, drawn, drawn[:40]), method=method, confidence=0.95, n_patients=40, n_pairs=9)
    assert 1 <= row.low < 1.5
    assert row.high is None
    assert row.note == "20 of 200 resamples put it beyond what these data can show"
    shut = make_row("x", Replicates(1.5, drawn, drawn[:40]), method=method, confidence=0.5, n_patients=40, n_pairs=9)
    assert shut.low < 1.5 < shut.high < 2


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_resamples_that_agree_are_no_interval(method):
    """36 patients without an error: by the rule of three, up to 8 % of others may have one."""
    drawn = np.array([1.0, 1.0 - 2**-24, np.nan, 1.0])  # to the last digit of float32
    row = make_row("x", Replicates(1.0, drawn, drawn), method=method, confidence=0.95, n_patients=36, n_pairs=9)
    assert (row.value, row.low, row.high) == (1, None, None)
    assert row.note == (
        "every resample gives this value, and up to 8 % of patients may yet differ; "
        "1 of 4 resamples left it undefined and are left out"
    )
    assert pytest.approx(0.05, abs=0.01) == (1 - 3 / 36) ** 36, "what the rule stands for"
    none = make_row(
        "x", Replicates(1.0, drawn * np.nan, drawn), method=method, confidence=0.95, n_patients=36, n_pairs=9
    )
    assert (none.low, none.high, none.note) == (None, None, "4 of 4 resamples left it undefined and are left out")
