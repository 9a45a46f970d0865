"""Exact products and distances against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from learner_jax.evaluators.blockwise import cosine_distance, exponents, moments, unit, whole


def test_products_of_whole_numbers_are_exact():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 300)) * np.geomspace(1e-9, 1e9, 9)[:, None], rng.normal(size=(5, 300))
    b[1] = 0
    e_a, e_b = exponents(a)[:, None], exponents(b)[:, None]
    numbers = whole(a, e_a), whole(b, e_b)
    product = numbers[0] @ numbers[1].T
    exact = [
        [sum(Fraction(x) * Fraction(y) for x, y in zip(i, j, strict=True)) for j in numbers[1]] for i in numbers[0]
    ]
    assert [[Fraction(x) for x in row] for row in product] == exact
    close = np.ldexp(product, e_a + e_b.T - 52)
    size = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    assert (np.abs(close - a @ b.T) <= 1e-7 * size).all()
    np.testing.assert_array_equal(whole(-a, e_a), -numbers[0])


def test_cosine_distance_keeps_digits_of_small_distances():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(20, 30)).astype(np.float32)
    b = np.where(rng.random((20, 1)) < 0.5, a + 1e-3 * rng.normal(size=a.shape), rng.normal(size=a.shape))
    b = b.astype(np.float32)
    a[3], b[4], a[5] = 0, 0, b[5]
    a[6] = b[6] = 0
    b[7] = a[7] * (1 + 1e-7 * rng.normal(size=30))
    found = cosine_distance(a.astype(float), b.astype(float))
    for i in set(range(20)) - {3, 4, 6}:
        x, y = ([Fraction(float(value)) for value in side[i]] for side in (a, b))
        dot, xx, yy = (sum(p * q for p, q in zip(*pair, strict=True)) for pair in ((x, y), (x, x), (y, y)))
        sine = float(1 - dot * dot / (xx * yy))  # exact until here
        assert np.sqrt(found[i] * (2 - found[i])) == pytest.approx(np.sqrt(sine), rel=1e-6, abs=1e-14)
    assert found[5] == found[6] == 0
    assert found[3] == found[4] == 1
    np.testing.assert_array_equal(found, cosine_distance(b.astype(float), a.astype(float)))


def test_moments_are_numpys_and_units_have_norm_1():
    u = np.random.default_rng(2).normal(size=(5000, 4)).astype(np.float32) + np.array([0, 1e3, 0, 0], np.float32)
    u[:, 3] = np.where(u[:, 0] > 0, 2, np.nextafter(np.float32(2), np.float32(3)))  # noise of float32
    mean, std, varies = moments(u)
    np.testing.assert_allclose(mean, u.astype(float).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std[:3], u.astype(float).std(axis=0)[:3], rtol=1e-12)
    assert std[3] == 1
    np.testing.assert_array_equal(varies, [True, True, True, False])
    np.testing.assert_allclose(np.linalg.norm(unit(u.astype(float)), axis=1), 1)
