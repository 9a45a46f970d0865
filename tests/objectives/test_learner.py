"""The contrastive part against its formula, pair by pair, in float64; and what must not change it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh
from learner_jax.objectives.learner import distance_match

RNG = np.random.default_rng(0)


def by_the_formula(z, b, weight, score_range):
    z, total, weights, cosines = z.astype(np.float64), 0.0, 0.0, []
    for i in range(len(z)):
        for j in range(len(z)):
            usable = b.mask[i] and b.mask[j] and np.isfinite(b.score[i]) and np.isfinite(b.score[j])
            if not usable or b.patient[i] == b.patient[j]:
                continue
            cosine = z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j])
            d = abs(float(b.score[i]) - float(b.score[j]))
            w = d if weight == "distance" else 1.0
            total += w * ((1 - cosine) - (1 - np.cos(np.pi * min(d / score_range, 1)))) ** 2
            weights += w
            cosines.append(cosine)
    return total / weights, np.mean(cosines)


def ours(z, b, n_devices=1, weight="uniform", score_range=4.0, block=256):
    mesh = make_mesh(jax.devices()[:n_devices])
    function = lambda z: distance_match(z, b, mesh, weight=weight, score_range=score_range, block=block)  # noqa: E731
    return jax.jit(function)(jnp.asarray(z))


@pytest.mark.parametrize("weight", ["uniform", "distance"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_the_formula_with_ties_masks_and_unlabeled_rows(weight, seed, make_batch):
    b = make_batch(seed=seed)
    b = make_batch(seed=seed, mask=np.arange(16) % 5 != 4, score=np.where(np.arange(16) == 3, np.nan, b.score))
    z = np.random.default_rng(seed).normal(size=(16, 6)).astype(np.float32)
    np.testing.assert_allclose(
        ours(z, b, weight=weight, score_range=3.0), by_the_formula(z, b, weight, 3.0), rtol=2e-6, atol=1e-7
    )


@pytest.mark.parametrize(("n_devices", "block"), [(1, 1), (1, 5), (2, 3), (8, 1), (8, 100)])
def test_value_and_gradient_depend_on_neither_devices_nor_blocks(n_devices, block, make_batch):
    b, z = make_batch(), RNG.normal(size=(16, 6)).astype(np.float32)

    def value(z, n_devices, block):
        return ours(z, b, n_devices, "distance", 4.0, block)[0]

    both = jax.jit(jax.value_and_grad(value), static_argnums=(1, 2))
    reference, got = both(jnp.asarray(z), 1, 16), both(jnp.asarray(z), n_devices, block)
    np.testing.assert_allclose(got[0], reference[0], rtol=1e-6)
    np.testing.assert_allclose(got[1], reference[1], atol=1e-6)


def test_gradient_equals_finite_differences_of_the_formula(make_batch):
    b, z = make_batch(8), np.random.default_rng(5).normal(size=(8, 3)).astype(np.float32)
    gradient = jax.grad(lambda z: ours(z, b)[0])(jnp.asarray(z))
    for i, k in ((0, 0), (3, 2), (7, 1)):
        step = np.zeros(z.shape)
        step[i, k] = 1e-5
        slope = by_the_formula(z + step, b, "uniform", 4.0)[0] - by_the_formula(z - step, b, "uniform", 4.0)[0]
        assert float(gradient[i, k]) == pytest.approx(slope / 2e-5, abs=1e-5)


def test_scores_laid_along_half_a_circle_cost_nothing(make_batch):
    b = make_batch(patient=np.arange(16, dtype=np.int32))
    angle = np.pi * b.score / 5.0
    z = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32) * RNG.uniform(0.1, 9, (16, 1)).astype(np.float32)
    assert float(ours(z, b, score_range=5.0)[0]) < 1e-10


def test_permuting_shifting_and_rotating_change_nothing(make_batch):
    b, z = make_batch(), RNG.normal(size=(16, 4)).astype(np.float32)
    reference = float(ours(z, b)[0])
    order = RNG.permutation(16)
    assert float(ours(z[order], jax.tree.map(lambda x: x[order], b))[0]) == pytest.approx(reference, rel=1e-5)
    assert float(ours(z, make_batch(score=b.score + 7))[0]) == pytest.approx(reference, rel=1e-5)
    rotation = np.linalg.qr(RNG.normal(size=(4, 4)))[0].astype(np.float32)
    assert float(ours(z @ rotation, b)[0]) == pytest.approx(reference, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": np.zeros(16, np.int32)},  # one patient: no coarse pair
        {"score": np.full(16, 1.0, np.float32)},  # all scores equal
        {"score": np.full(16, np.nan, np.float32)},  # nothing labeled
        {"mask": np.zeros(16, bool)},
    ],
)
@pytest.mark.parametrize("name", ["learner", "learner_combined", "mse"])
def test_poor_batches_give_finite_values_and_gradients(name, changes, make_batch):
    objective = objectives.create(ObjectiveConfig(name=name, projection=4), make_mesh(jax.devices()[:1]))
    params, state = objective.init(jax.random.key(0), 8)
    b = make_batch(**changes)

    def value(params, u):
        z = objectives.api.project(params, u)
        return objective.loss(params, state, z, u, b, None)[0]

    both = jax.jit(jax.value_and_grad(value, (0, 1)))
    for u in (jnp.asarray(RNG.normal(size=(16, 8)), jnp.float32), jnp.zeros((16, 8))):
        result = both(params, u)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))


def test_combined_is_the_weighted_sum_of_its_parts(make_batch):
    config = ObjectiveConfig(name="learner_combined", mse_weight=0.3, contrastive_weight=1.7, projection=4)
    objective = objectives.create(config, make_mesh(jax.devices()[:1]))
    params, state = objective.init(jax.random.key(0), 8)
    u = jnp.asarray(RNG.normal(size=(16, 8)), jnp.float32)
    value, metrics, _ = objective.loss(params, state, objectives.api.project(params, u), u, make_batch(), None)
    assert float(value) == pytest.approx(0.3 * float(metrics["mse"]) + 1.7 * float(metrics["contrastive"]), rel=1e-6)
