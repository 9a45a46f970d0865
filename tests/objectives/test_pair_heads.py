"""LILAC's and Davidson's heads: what a difference can and cannot say; their formulas are in ``test_formulas.py``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh


@pytest.mark.parametrize("name", ["lilac", "lilac_order", "davidson"])
def test_pair_heads_are_antisymmetric(name, make_batch):
    """Negated scores and a negated head: each pair is read from its other end."""
    objective = objectives.create(ObjectiveConfig(name=name, lilac_pairs="all"), make_mesh(jax.devices()[:1]), 16)
    params, _ = objective.init(jax.random.key(3), 6)
    score = np.random.default_rng(0).choice([-2.3, -0.1, 0.3, 0.31, 1.7, np.nan], 24).astype(np.float32)
    batch, mirrored = (make_batch(24, score=s, mask=np.arange(24) % 7 != 4) for s in (score, -score))
    z = jnp.asarray(np.random.default_rng(1).normal(size=(24, 6)), jnp.float32)
    key = {"lilac": "difference", "lilac_order": "order", "davidson": "davidson"}[name]
    turned = params | {key: params[key] | {"kernel": -params[key]["kernel"]}}
    value = jax.jit(lambda params, batch: objective.loss(params, {}, z, z, batch, None, 0.0)[0])
    assert float(value(turned, mirrored)) == pytest.approx(float(value(params, batch)), rel=1e-6)


def test_lilac_learns_the_change_of_a_linear_embedding(make_batch):
    """Whatever is constant in a patient falls out of the difference."""
    objective = objectives.create(ObjectiveConfig(name="lilac"), make_mesh(jax.devices()[:1]), 16)
    params, _ = objective.init(jax.random.key(0), 6)
    batch = make_batch(16, score=np.random.default_rng(9).normal(size=16).astype(np.float32))
    direction, style = np.random.default_rng(10).normal(size=6), np.random.default_rng(11).normal(size=(8, 6))
    style -= np.outer(style @ direction, direction) / (direction @ direction)
    u = jnp.asarray(batch.score[:, None] * direction + 10 * style[batch.patient], jnp.float32)
    exact = {"difference": {"kernel": jnp.asarray(direction / (direction @ direction), jnp.float32)[:, None]}}
    loss = jax.jit(lambda u: objective.loss(params | exact, {}, u, u, batch, None, 0.0)[0])
    assert float(loss(u)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("apart", [-30.0, -1.0, 0.0, 2.5, 40.0])
def test_davidsons_three_outcomes_are_a_distribution(apart, make_batch, value_of):
    head = {"davidson": {"kernel": jnp.ones((1, 1)), "log_tie": jnp.asarray(0.3)}}
    u = np.array([[0.0], [apart]], np.float32)
    costs = [
        value_of("davidson", u, make_batch(2, score=np.array([0, difference], np.float32)), params=head)
        for difference in (-1, 0, 1)
    ]
    assert np.exp(-np.array(costs)).sum() == pytest.approx(1, rel=1e-5)
