"""Norms that padding cannot touch, against the definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from learner_jax.backbones.layers.norm import MaskedBatchNorm, RowGroupNorm
from learner_jax.backbones.layers.platform import compiler_options

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (5, 2, 4, 4, 6)).astype(np.float32)
ALL = jnp.ones(5, bool)


def test_training_equals_the_definition_over_real_rows():
    mask = np.array([1, 0, 1, 1, 0], bool)
    norm = MaskedBatchNorm(6, nnx.Rngs(0))
    y = np.asarray(norm(jnp.asarray(X), jnp.asarray(mask), True))
    real = X[mask].astype(np.float64).reshape(-1, 6)
    np.testing.assert_allclose(y, (X - real.mean(0)) / np.sqrt(real.var(0) + 1e-5), atol=2e-5)
    np.testing.assert_allclose(norm.mean[...], 0.1 * real.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * real.var(0, ddof=1), rtol=1e-5)


def test_what_is_in_the_padding_changes_nothing():
    mask = jnp.asarray([True, True, True, False, False])
    other = X.copy()
    other[3:] = 1e3
    first, second = MaskedBatchNorm(6, nnx.Rngs(0)), MaskedBatchNorm(6, nnx.Rngs(0))
    a, b = first(jnp.asarray(X), mask, True), second(jnp.asarray(other), mask, True)
    np.testing.assert_array_equal(a[:3], b[:3])
    np.testing.assert_array_equal(first.var[...], second.var[...])


def test_a_batch_of_padding_alone_leaves_the_averages():
    norm = MaskedBatchNorm(6, nnx.Rngs(0))
    y = norm(jnp.asarray(X), jnp.zeros(5, bool), True)
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(norm.mean[...], 0)
    np.testing.assert_array_equal(norm.var[...], 1)


def test_evaluation_uses_the_averages_and_keeps_them():
    norm = MaskedBatchNorm(6, nnx.Rngs(0))
    norm.mean[...], norm.var[...] = jnp.full(6, 2.0), jnp.full(6, 4.0)
    y = norm(jnp.asarray(X), ALL, False)
    np.testing.assert_allclose(y, (X - 2) / np.sqrt(4 + 1e-5), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(norm.mean[...], 2)


@pytest.mark.parametrize(("features", "groups"), [(64, 32), (40, 20), (6, 6), (7, 7)])
def test_group_norm_equals_the_definition(features, groups):
    x = RNG.normal(3, 2, (3, 2, 5, 4, features)).astype(np.float32)
    norm = RowGroupNorm(features, nnx.Rngs(0))
    norm.scale[...], norm.bias[...] = jnp.arange(1.0, features + 1), jnp.arange(features) / 10
    parts = x.astype(np.float64).reshape(3, -1, groups, features // groups)
    mean, var = (f(parts, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    expected = ((parts - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * np.arange(1, features + 1)
    y = norm(jnp.asarray(x), ALL[:3], True)
    np.testing.assert_allclose(y, expected + np.arange(features) / 10, rtol=2e-5, atol=2e-4)
    assert norm(jnp.asarray(x, jnp.bfloat16), ALL[:3], True).dtype == jnp.bfloat16


def test_group_norm_looks_at_one_row_only():
    norm = RowGroupNorm(6, nnx.Rngs(0))
    whole = norm(jnp.asarray(X), ALL, True)
    alone = norm(jnp.asarray(X[2:3]), ALL[:1], True)
    np.testing.assert_allclose(whole[2:3], alone, atol=1e-5)


@pytest.mark.parametrize("kind", [MaskedBatchNorm, RowGroupNorm])
def test_gradients_in_bfloat16_are_those_in_float32_but_for_its_rounding(kind):
    """Sums over 32,768 places; XLA's own of bfloat16 end at 256 on a CPU."""
    scan, toward = (RNG.normal(1, 1, (8, 4, 32, 32, 8)).astype(np.float32) for _ in range(2))
    graph, params, rest = nnx.split(kind(8, nnx.Rngs(0)), nnx.Param, ...)

    def loss(params, x, toward):
        y = nnx.merge(graph, params, rest, copy=True)(x, jnp.ones(8, bool), True)
        return (y * toward).astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1)), compiler_options=compiler_options())
    exact = gradient(params, scan, toward)
    rounded = gradient(params, *(jnp.asarray(x, jnp.bfloat16) for x in (scan, toward)))
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(rounded), strict=True):
        assert np.linalg.norm(a - b.astype(jnp.float32)) < 0.01 * np.linalg.norm(a)
