"""The objective's heads: their prediction makes the objective's own loss 0, or has the likelihood that it states."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.evaluators import readouts
from learner_jax.mesh import make_mesh
from tfds_builders.errors import InputError


def loss(name, params, u, score, make_batch, **fields):
    """Value of an objective on pairs within patients, with ``score`` in SDs, at embeddings ``u``."""
    value = compiled(name, tuple(fields.items()))
    return float(value(params, jnp.asarray(u), make_batch(len(u), score=np.asarray(score, np.float32))))


@functools.cache
def compiled(name, fields):
    config = ObjectiveConfig(name=name, lilac_pairs="all", **dict(fields))
    objective = objectives.create(config, make_mesh(jax.devices()[:1]), 16)
    return jax.jit(lambda params, u, batch: objective.loss(params, {}, u * 0, u, batch, None, 0.0)[0])


@pytest.mark.parametrize(("name", "objective"), [("lilac", "lilac"), ("score_head", "mse")])
def test_predicted_scores_are_those_that_the_objective_finds_perfect(name, objective, splits, context, make_batch):
    train, val, test = splits()
    about = context(objective=objective)
    found = readouts.fit(name, train, val, about)
    assert found.model.in_score_units
    standardised = (found.scores(test.u[:8]) - about.score_mean) / about.score_std
    assert loss(objective, about.heads, test.u[:8], standardised, make_batch) == pytest.approx(0, abs=1e-9)
    assert loss(objective, about.heads, test.u[:8], 1.01 * standardised, make_batch) > 1e-6


def test_lilacs_scores_have_the_mean_of_training(splits, context):
    train, val, test = splits()
    found = readouts.fit("lilac", train, val, context())
    assert found.scores(train.u).mean() == pytest.approx(3.5)
    kernel = context().heads["difference"]["kernel"].astype(float)[:, 0]
    expected = 2.25 * (test.u[1:].astype(float) - test.u[:-1]) @ kernel
    np.testing.assert_allclose(found.delta(test.u[:-1], test.u[1:]), expected, rtol=1e-9, atol=1e-12)


def test_order_is_the_log_odds_of_the_objective(splits, context, make_batch):
    train, val, test = splits()
    about = context()
    found = readouts.fit("lilac_order", train, val, about)
    assert not found.model.in_score_units
    u = 0.3 * test.u[:2]
    delta = found.delta(u[:1], u[1:])[0]
    cost = loss("lilac_order", about.heads, u, [0.0, 1.0], make_batch)
    assert cost == pytest.approx(np.log1p(np.exp(-delta)), rel=1e-5)


def test_davidsons_probabilities_are_the_objectives(splits, context, make_batch):
    train, val, test = splits()
    about = context()
    found = readouts.fit("davidson", train, val, about)
    u = 0.3 * test.u
    logits = found.compare(u, np.array([0]), np.array([1])).logits
    probability = np.exp(logits - np.log(np.exp(logits).sum()))[0]
    for k, score in enumerate(([1.0, 0.0], [0.0, 0.0], [0.0, 1.0])):
        cost = loss("davidson", about.heads, u[:2], score, make_batch, similar=0.5)
        assert cost == pytest.approx(-np.log(probability[k]), rel=1e-5)
    np.testing.assert_allclose(found.delta(u[:1], u[1:2]), logits[:, 2] - logits[:, 0])


@pytest.mark.parametrize(
    ("name", "key"),
    [("lilac", "difference"), ("lilac_order", "order"), ("davidson", "davidson"), ("score_head", "head")],
)
def test_a_missing_or_broken_head_is_a_sentence(name, key, splits, context):
    train, val, _ = splits()
    assert readouts.fit(name, train, val, context(heads={}, objective="simclr")) == (
        f"{name}: the objective 'simclr' trained no head {key!r}"
    )
    nan = {key: {"kernel": np.full((6, 1), np.nan, np.float32), "log_tie": np.float32(0)}}
    assert readouts.fit(name, train, val, context(heads=nan)) == (
        f"{name}: the head {key!r} holds NaN or infinity, so training has diverged"
    )
    with pytest.raises(InputError, match=r"kernel of shape \(5, 1\), but embeddings of width 6 need \(6, 1\)"):
        readouts.fit(name, train, val, context(5))


def test_heads_need_no_training_scores(splits, context):
    train, val, _ = splits()
    train = dataclasses.replace(train, score=np.full_like(train.score, np.nan))
    for name in ("lilac", "lilac_order", "davidson", "score_head"):
        assert readouts.fit(name, train, val, context()).fitted_on.startswith("pretraining: the objective's own head")
