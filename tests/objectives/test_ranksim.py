"""RankSim: where it is 0, where its gradient leads, and how it sorts; its formula is in ``test_formulas.py``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh
from learner_jax.objectives import ranksim


@pytest.fixture(scope="module")
def value():
    objective = objectives.create(ObjectiveConfig(name="mse+ranksim"), make_mesh(jax.devices()[:1]), 16)
    params, state = objective.init(jax.random.key(3), 6)
    return jax.jit(lambda z, batch: objective.loss(params, state, z, z, batch, None, 0.0)[1]["ranksim"])


def test_costs_nothing_where_similarity_follows_the_score(value, make_batch):
    batch = make_batch(16, score=np.cumsum(0.1 + 0.2 * np.random.default_rng(0).random(16)).astype(np.float32))
    angle = np.asarray(batch.score) / 3
    z = np.stack([np.cos(angle), np.sin(angle), *4 * [np.zeros(16)]], 1)
    assert float(value(jnp.asarray(z, jnp.float32), batch)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("wide", [False, True])
def test_numbers_are_sorted_as_numpy_sorts_them(wide):
    with jax.enable_x64(wide):
        x = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float64 if wide else np.float32)
        x[0, :6] = np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40
        np.testing.assert_array_equal(ranksim._sort(jnp.asarray(x)), np.sort(x, axis=1))


def test_the_blackbox_gradient_leads_down(value, make_batch):
    batch = make_batch(16, score=np.random.default_rng(7).normal(size=16).astype(np.float32))
    z = jnp.asarray(np.random.default_rng(8).normal(size=(16, 6)), jnp.float32)
    before, gradient = float(value(z, batch)), jax.jit(jax.grad(value))
    for _ in range(60):
        z = z - 5.0 * gradient(z, batch)
    assert float(value(z, batch)) < 0.5 * before
