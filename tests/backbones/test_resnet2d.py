"""ResNet over frames: the shift, the pool, the counts, the padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.layers.shift import temporal_shift
from learner_jax.batch import BatchSpec

SPEC = BatchSpec(4, 4, 32, 32, 1)


def test_the_shift_equals_its_definition_and_turns_nothing_around():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 3, 16)).astype(np.float32)
    expected = x.copy()
    expected[:, :-1, ..., :2], expected[:, -1, ..., :2] = x[:, 1:, ..., :2], 0
    expected[:, 1:, ..., 2:4], expected[:, 0, ..., 2:4] = x[:, :-1, ..., 2:4], 0
    np.testing.assert_array_equal(temporal_shift(jnp.asarray(x)), expected)
    past = x.copy()
    past[:, 1:, ..., :2], past[:, 0, ..., :2] = x[:, :-1, ..., :2], 0
    np.testing.assert_array_equal(temporal_shift(jnp.asarray(x), "past"), past)
    np.testing.assert_array_equal(temporal_shift(jnp.asarray(x), "none"), x)


@pytest.mark.parametrize("size", [7, 8])
def test_the_pool_equals_the_window_reduction(size):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, size, size, 4)), jnp.float32)
    window = (1, 1, 3, 3, 1), (1, 1, 2, 2, 1), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
    expected = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *window)
    np.testing.assert_array_equal(max_pool(x, (1, 3, 3), (1, 2, 2), (0, 1, 1)), expected)


def test_time_reaches_the_embedding_only_through_the_shift():
    scan = jnp.asarray(np.random.default_rng(0).normal(size=SPEC.shape), jnp.float32)
    for kind, mixes in (("tsm", True), ("tsm_past", True), ("tsn", False)):
        backbone = backbones.create(f"{kind}_resnet18-test")
        variables = jax.jit(functools.partial(backbone.init, spec=SPEC))(jax.random.key(0))
        apply = jax.jit(functools.partial(backbone.apply, train=False))
        forward, _ = apply(variables, scan, jnp.ones(4, bool))
        backward, _ = apply(variables, scan[:, ::-1], jnp.ones(4, bool))
        assert (np.abs(forward - backward).max() > 1e-3) == mixes
