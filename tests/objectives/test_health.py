"""Figures of the embedding against loops over pairs in float64, and their limits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.objectives.api import projected
from learner_jax.objectives.health import health


@functools.partial(jax.jit, static_argnames="similar")
def figures(z, batch, similar):
    return health(projected(z, batch), similar)


def by_the_formula(z, b, similar):
    z = z.astype(np.float64)
    rows = [i for i in range(len(z)) if b.mask[i]]
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    pairs = [(i, j) for i in rows for j in rows if i != j]
    labeled = [i for i in rows if np.isfinite(b.score[i])]
    d = lambda i, j: abs(float(b.score[i]) - float(b.score[j]))  # noqa: E731
    alike = [(i, j) for i in labeled for j in labeled if b.patient[i] != b.patient[j] and d(i, j) <= similar]
    eigenvalues = np.linalg.eigvalsh(np.cov(z[rows].T))
    right = []
    for i in labeled:
        for j in range(len(z)):
            k = (j + 1) % len(z)
            if j in labeled and k in labeled and i not in (j, k) and d(i, j) != d(i, k):
                right.append((unit[i] @ unit[j] > unit[i] @ unit[k]) == (d(i, j) < d(i, k)))
    return {
        "mean_cosine": np.mean([unit[i] @ unit[j] for i, j in pairs]),
        "effective_rank": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
        "alignment": np.mean([((unit[i] - unit[j]) ** 2).sum() for i, j in alike]),
        "uniformity": np.log(np.mean([np.exp(-2 * ((unit[i] - unit[j]) ** 2).sum()) for i, j in pairs])),
        "contrastive_accuracy": np.mean(right),
    }


@pytest.mark.parametrize("width", [5, 40])  # fewer and more than the rows: two ways to the covariance
def test_equals_the_formulas(width, make_batch):
    b = make_batch(mask=np.arange(16) % 6 != 4, score=np.where(np.arange(16) == 3, np.nan, make_batch().score))
    z = np.random.default_rng(0).normal(size=(16, width)).astype(np.float32)
    got, expected = figures(jnp.asarray(z), b, 0.5), by_the_formula(z, b, 0.5)
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=2e-5, err_msg=name)


def test_limits(make_batch):
    b = make_batch()
    point = figures(jnp.ones((16, 4)), b, 0.5)
    assert float(point["mean_cosine"]) == pytest.approx(1)
    assert float(point["effective_rank"]) == 0
    assert float(point["uniformity"]) == pytest.approx(0, abs=1e-5)
    angle = np.pi * (b.score - b.score.min()) / 5  # along a half circle in the order of the scores
    arc = figures(jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], 1), jnp.float32), b, 0.0)
    assert float(arc["contrastive_accuracy"]) == 1
    assert float(arc["alignment"]) == pytest.approx(0, abs=1e-6)
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(2000, 64)), jnp.float32)
    sphere = figures(noise, make_batch(2000), 0.5)
    assert 50 < float(sphere["effective_rank"]) <= 64
    assert float(sphere["contrastive_accuracy"]) == pytest.approx(0.5, abs=0.01)


def test_nothing_to_measure_is_nan_and_carries_no_gradient(make_batch):
    empty = figures(jnp.ones((16, 4)), make_batch(mask=np.zeros(16, bool)), 0.5)
    assert all(np.isnan(value) for value in empty.values())
    gradient = jax.grad(lambda z: sum(figures(z, make_batch(), 0.5).values()))(jnp.ones((16, 4)))
    assert not gradient.any()
