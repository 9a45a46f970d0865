"""Amount of change against scipy, and against the formulas written out."""

import numpy as np
import pytest
import scipy.stats


@pytest.fixture
def one(said):
    return said(seed=4, patients=15, visits=4, views=1, unlabeled=0.1)


def test_correlations_and_errors(one, values):
    x, y = one.truth.delta, one.delta
    found = values(one, "amount")
    assert found["delta_pearson"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-6)
    assert found["delta_spearman"] == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=2e-6)
    assert found["delta_mae"] == pytest.approx(np.abs(x - y).mean(), rel=1e-6)
    ccc = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert found["delta_ccc"] == pytest.approx(ccc, abs=1e-6)
    e = y - x
    assert found["bland_altman_bias"] == pytest.approx(e.mean(), abs=1e-5)
    assert found["bland_altman_low"] == pytest.approx(e.mean() - 1.959964 * e.std(ddof=1), rel=1e-5)
    assert found["bland_altman_high"] == pytest.approx(e.mean() + 1.959964 * e.std(ddof=1), rel=1e-5)


def test_icc_is_the_two_way_analysis_of_variance(one, values):
    table = np.column_stack([one.truth.delta, one.delta])
    n, k = table.shape
    grand = table.mean()
    rows = k * np.sum((table.mean(1) - grand) ** 2) / (n - 1)
    columns = n * np.sum((table.mean(0) - grand) ** 2)
    rest = (np.sum((table - grand) ** 2) - rows * (n - 1) - columns) / ((n - 1) * (k - 1))
    assert values(one, "amount")["delta_icc"] == pytest.approx((rows - rest) / (rows + (k - 1) * rest), abs=1e-6)


def test_minimal_detectable_change_is_that_of_the_error_within_patients(one, values):
    error, owner = one.scores - one.truth.observations.score, one.truth.patient_of
    several = [error[owner == p] for p in range(one.truth.n_patients) if (owner == p).sum() > 1]
    sem = (sum(((e - e.mean()) ** 2).sum() for e in several) / sum(len(e) - 1 for e in several)) ** 0.5
    expected = 1.959964 * 2**0.5 * sem
    assert values(one, "amount")["minimal_detectable_change"] == pytest.approx(expected, rel=1e-5)


def test_scans_are_in_error_about_the_mean_of_their_visit(said, values):
    one = said(seed=3, mode="scans", patients=9, visits=3, views=4, unlabeled=0.4)
    seen, error = one.truth.observations, one.scores - one.truth.observations.score
    visits = [
        error[(seen.patient == p) & (seen.visit == v)]
        for p, v in set(zip(seen.patient.tolist(), seen.visit.tolist(), strict=True))
    ]
    squares, freedom = sum(((e - e.mean()) ** 2).sum() for e in visits), sum(len(e) - 1 for e in visits)
    expected = 1.959964 * (2 * squares / freedom) ** 0.5
    assert values(one, "amount")["minimal_detectable_change"] == pytest.approx(expected, rel=1e-5)


def test_a_shift_of_predictions_costs_agreement_and_no_correlation(one, values):
    before = values(one, "amount")
    one.delta[:] += 5
    after = values(one, "amount")
    assert after["delta_pearson"] == pytest.approx(before["delta_pearson"], abs=1e-5)
    assert after["delta_icc"] == pytest.approx(before["delta_icc"], abs=1e-5)
    assert after["delta_ccc"] < before["delta_ccc"] - 0.1


def test_equal_predictions_are_undefined_and_not_nan_elsewhere(one, values):
    one.delta[:] = 0
    found = values(one, "amount")
    assert np.isnan(found["delta_pearson"])
    assert np.isnan(found["delta_spearman"])
    assert found["delta_ccc"] == pytest.approx(0, abs=1e-6)
    assert found["delta_mae"] == pytest.approx(np.abs(one.truth.delta).mean(), rel=1e-6)


def test_only_score_units_have_amounts(one, values):
    lean = type(one)(**{**one.__dict__, "in_score_units": False})
    assert values(lean, "amount") == {}


@pytest.mark.parametrize(("middle", "spread", "error"), [(100.0, 0.05, 0.05), (0.0, 30.0, 1e-3)])
def test_small_variances_beside_large_numbers_are_not_lost(one, values, middle, spread, error):
    """float32 gave no correlation for the first, and limits of agreement of width 0 for the second."""
    rng = np.random.default_rng(0)
    x = one.truth.delta[:] = middle + rng.normal(0, spread, len(one.truth.delta))
    y = one.delta[:] = x + rng.normal(0, error, len(x))
    found, e = values(one, "amount"), y - x
    assert found["delta_pearson"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-5)
    ccc = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert found["delta_ccc"] == pytest.approx(ccc, abs=1e-5)
    width = found["bland_altman_high"] - found["bland_altman_low"]
    assert width == pytest.approx(2 * 1.959964 * e.std(ddof=1), rel=1e-3)
