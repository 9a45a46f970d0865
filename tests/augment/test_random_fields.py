"""Random fields: their moments, their smoothness, their grain."""

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.interpolate import BSpline

from learner_jax.augment.random_fields import grain_basis, polar_noise, spline_basis


@pytest.mark.parametrize(("n", "knots"), [(16, 4), (112, 6)])
def test_the_curve_is_the_b_spline_of_scipy(n, knots):
    at = np.linspace(1, knots - 2, n)
    want = np.stack([BSpline.basis_element(np.arange(k - 2, k + 3), extrapolate=False)(at) for k in range(knots)], 1)
    np.testing.assert_allclose(spline_basis(n, knots), np.nan_to_num(want), atol=1e-6)
    np.testing.assert_allclose(spline_basis(n, knots).sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(("n", "cell"), [(112, 2), (112, 3), (7, 3)])
def test_white_points_become_noise_of_the_same_variance_with_a_grain(n, cell):
    basis = grain_basis(n, cell)
    covariance = basis @ basis.T
    np.testing.assert_allclose(np.diag(covariance), 1, atol=1e-6)
    assert (np.diag(covariance, 1) > 0.6).all()
    assert np.abs(np.diag(covariance, 4 * cell)).max(initial=0) < 1e-6


def test_polar_noise_is_complex_gaussian():
    radius, angle = (np.asarray(x, np.float64) for x in polar_noise(jax.random.key(0), (100_000,)))
    for part in (radius * np.cos(angle), radius * np.sin(angle)):
        assert stats.kstest(part, "norm").pvalue > 0.01
    assert stats.kstest(radius, "rayleigh").pvalue > 0.01
    assert abs(np.corrcoef(radius, angle)[0, 1]) < 0.01
