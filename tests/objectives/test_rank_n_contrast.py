"""Rank-N-Contrast by one sort against its formula, triple by triple, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


def by_the_formula(z, b, rows, tau=2.0):
    z, y = z.astype(np.float64), b.score.astype(np.float64)
    s = lambda i, j: -np.linalg.norm(z[i] - z[j]) / tau  # noqa: E731
    terms = []
    for i in rows:
        for j in rows:
            if i != j:
                d = abs(y[i] - y[j])
                away = [s(i, k) for k in rows if k != i and abs(y[i] - y[k]) >= d - 1e-5]
                terms.append(-s(i, j) + np.logaddexp.reduce(away))
    return np.mean(terms)


SCORES = {
    "ties": lambda rng, n: rng.choice([-2.0, -0.5, 0.3, 1.7, 2.5], n),
    "continuous": lambda rng, n: rng.normal(size=n),
    "symmetric integers": lambda rng, n: (rng.integers(0, 30, n) - 14.3) / 7.7,
    "two": lambda rng, n: rng.choice([-1.0, 1.0], n),
}


@pytest.fixture(params=[256, 2])
def _levels(request, monkeypatch, value_of):
    """2: fewer than the distinct scores, so that there is a denominator for each row."""
    monkeypatch.setattr("learner_jax.objectives.by_distance._MOST_LEVELS", request.param)
    value_of.forget()
    yield
    value_of.forget()


@pytest.mark.usefixtures("_levels")
@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_formula(kind, seed, make_batch, value_of, usable):
    rng = np.random.default_rng(seed)
    score = np.where(np.arange(24) == 3, np.nan, SCORES[kind](rng, 24)).astype(np.float32)
    b = make_batch(24, score=score, mask=np.arange(24) % 7 != 4)
    z = rng.normal(size=(24, 6)).astype(np.float32)
    got = value_of("rank_n_contrast", z, b, n_devices=2, block=5)
    np.testing.assert_allclose(got, by_the_formula(z, b, usable(b)), rtol=3e-6)


@pytest.mark.usefixtures("_levels")
def test_gradient_equals_finite_differences_of_the_formula(make_batch, value_of, usable):
    b, z = make_batch(8), np.random.default_rng(5).normal(size=(8, 3)).astype(np.float32)
    gradient = jax.grad(lambda z: value_of("rank_n_contrast", z, b))(jnp.asarray(z))
    for i, k in ((0, 0), (3, 2), (7, 1)):
        step = np.zeros(z.shape)
        step[i, k] = 1e-5
        slope = by_the_formula(z + step, b, usable(b)) - by_the_formula(z - step, b, usable(b))
        assert float(gradient[i, k]) == pytest.approx(slope / 2e-5, abs=1e-5)


def test_all_scores_equal_is_the_mean_of_infonce_over_all_positives(make_batch, value_of):
    b = make_batch(score=np.full(16, 0.7, np.float32))
    z = np.random.default_rng(0).normal(size=(16, 4))
    s = -np.linalg.norm(z[:, None] - z[None], axis=-1) / 2
    np.fill_diagonal(s, -np.inf)
    expected = np.mean([np.logaddexp.reduce(s[i]) - s[i, j] for i in range(16) for j in range(16) if i != j])
    assert float(value_of("rank_n_contrast", z.astype(np.float32), b)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-4, 1e3])
def test_value_and_gradient_stay_finite_far_apart_and_close_together(scale, make_batch, value_of):
    b = make_batch()
    z = scale * jnp.asarray(np.random.default_rng(0).normal(size=(16, 4)), jnp.float32) + 5
    value, gradient = jax.value_and_grad(lambda z: value_of("rank_n_contrast", z, b))(z)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
