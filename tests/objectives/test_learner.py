"""The forms and weights of ``learner`` against their formulas, pair by pair, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

FORMS = ("distance_match", "margin", "soft_infonce")
WEIGHTS = ("uniform", "distance", "inverse_density")


def by_the_formula(z, b, rows, form, weight, *, score_range=4.0, power=1.0, sigma=0.5, tau=0.1):
    z, y = z.astype(np.float64), b.score.astype(np.float64)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    pairs = [(i, j) for i in rows for j in rows if b.patient[i] != b.patient[j]]
    d = {pair: abs(y[pair[0]] - y[pair[1]]) for pair in pairs}
    place = {pair: min(int(16 * d[pair] / score_range), 15) for pair in pairs}
    count = [list(place.values()).count(k) for k in range(16)]
    w = {p: {"uniform": 1, "distance": d[p] ** power, "inverse_density": 1 / count[place[p]]}[weight] for p in pairs}
    cosine = {(i, j): unit[i] @ unit[j] for i, j in pairs}
    if form == "soft_infonce":
        losses = []
        for i in rows:
            mine = [j for j in rows if (i, j) in d]
            if sum(w[i, j] for j in mine) > 0:
                nearest = min(d[i, j] for j in mine if w[i, j] > 0)
                q = np.array([w[i, j] and w[i, j] * np.exp((nearest - d[i, j]) / sigma) for j in mine])
                logits = np.array([cosine[i, j] / tau for j in mine])
                losses.append(-(q / q.sum()) @ (logits - np.logaddexp.reduce(logits)))
        return np.mean(losses)
    cost = {}
    for p in pairs:
        x, distance = min(d[p] / score_range, 1), 1 - cosine[p]
        if form == "margin":
            cost[p] = max(x - distance, 0) ** 2 + max(distance - 2 * x, 0) ** 2
        else:
            cost[p] = (distance - (1 - np.cos(np.pi * x))) ** 2
    return sum(w[p] * cost[p] for p in pairs) / sum(w.values())


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("form", FORMS)
def test_equals_the_formula_with_ties_masks_and_unlabeled_rows(form, weight, make_batch, value_of, usable):
    for seed in range(3):
        b = make_batch(seed=seed)
        b = make_batch(seed=seed, mask=np.arange(16) % 5 != 4, score=np.where(np.arange(16) == 3, np.nan, b.score))
        z = np.random.default_rng(seed).normal(size=(16, 6)).astype(np.float32)
        got = value_of("learner", z, b, n_devices=2, form=form, pair_weight=weight, score_range=3.0, block=3)
        np.testing.assert_allclose(got, by_the_formula(z, b, usable(b), form, weight, score_range=3.0), rtol=5e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.01, 0.001])
def test_a_narrow_kernel_finds_the_nearest_of_an_anchor_that_is_far_from_all(sigma, make_batch, value_of, usable):
    b = make_batch(score=np.where(np.arange(16) == 5, 40.0, make_batch().score).astype(np.float32))
    z = np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)
    got = value_of("learner", z, b, form="soft_infonce", sigma=sigma)
    np.testing.assert_allclose(got, by_the_formula(z, b, usable(b), "soft_infonce", "distance", sigma=sigma), rtol=1e-4)
    slope = jax.grad(lambda z: value_of("learner", z, b, form="soft_infonce", sigma=sigma))(jnp.asarray(z))
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_weight_is_a_power_of_the_score_difference(form, make_batch, value_of, usable):
    b, z = make_batch(), np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)
    got = [value_of("learner", z, b, form=form, weight_power=power) for power in (0.0, 0.5, 2.0)]
    expected = [by_the_formula(z, b, usable(b), form, "distance", power=power) for power in (0.0, 0.5, 2.0)]
    np.testing.assert_allclose(got, expected, rtol=5e-6)
    np.testing.assert_allclose(got[0], value_of("learner", z, b, form=form, pair_weight="uniform"), rtol=1e-6)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("form", FORMS)
def test_gradient_equals_finite_differences_of_the_formula(form, weight, make_batch, value_of, usable):
    b, z = make_batch(8), np.random.default_rng(5).normal(size=(8, 3)).astype(np.float32)
    gradient = jax.grad(lambda z: value_of("learner", z, b, form=form, pair_weight=weight))(jnp.asarray(z))
    for i, k in ((0, 0), (3, 2), (7, 1)):
        step = np.zeros(z.shape)
        step[i, k] = 1e-5
        up, down = (by_the_formula(z + s, b, usable(b), form, weight) for s in (step, -step))
        assert float(gradient[i, k]) == pytest.approx((up - down) / 2e-5, abs=2e-5)


def test_scores_laid_along_half_a_circle_cost_nothing(make_batch, value_of):
    b = make_batch(patient=np.arange(16, dtype=np.int32))
    angle = np.pi * b.score / 5.0
    z = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32) * np.random.default_rng(2).uniform(
        0.1, 9, (16, 1)
    ).astype(np.float32)
    assert float(value_of("learner", z, b, score_range=5.0)) < 1e-10


@pytest.mark.parametrize("weight", ["distance", "uniform"])
def test_what_projections_cost_that_lie_at_random(weight, make_batch, value_of):
    b = make_batch(64, patient=np.arange(64, dtype=np.int32))
    d = np.abs(np.subtract.outer(b.score, b.score).astype(np.float64))
    w = d if weight == "distance" else 1 - np.eye(64)
    knows_nothing = (w * np.cos(np.pi * np.minimum(d / 4, 1)) ** 2).sum() / w.sum()
    for width, draws in ((2, 60), (64, 10)):
        z = np.random.default_rng(width).normal(size=(draws, 64, width)).astype(np.float32)
        costs = [float(value_of("learner", one, b, pair_weight=weight)) for one in z]
        assert np.mean(costs) == pytest.approx(knows_nothing + 1 / width, abs=4 * np.std(costs) / draws**0.5)


def test_distances_between_half_and_the_whole_of_the_target_cost_nothing_under_the_margin(make_batch, value_of):
    b = make_batch(2, score=np.array([0.0, 1.5], np.float32), patient=np.array([0, 1], np.int32))
    for distance, cost in ((0.4, 0.1), (0.5, 0.0), (0.75, 0.0), (1.0, 0.0), (1.2, 0.2)):  # x = 0.5
        angle = np.arccos(1 - distance)
        z = np.array([[1, 0], [np.cos(angle), np.sin(angle)]], np.float32)
        assert float(value_of("learner", z, b, form="margin", score_range=3.0)) == pytest.approx(cost**2, abs=1e-6)


def test_combined_is_the_weighted_sum_of_its_parts(make_batch):
    from learner_jax import objectives
    from learner_jax.config import ObjectiveConfig, WeightConfig
    from learner_jax.mesh import make_mesh

    config = ObjectiveConfig(name="learner_combined", weights=WeightConfig(mse=0.3, learner=1.7), projection=4)
    objective = objectives.create(config, make_mesh(jax.devices()[:1]), 16)
    params, state = objective.init(jax.random.key(0), 8)
    u = jnp.asarray(np.random.default_rng(3).normal(size=(16, 8)), jnp.float32)
    loss = jax.jit(lambda u: objective.loss(params, state, u[:, :4], u, make_batch(), None, 0.0))
    value, metrics, _ = loss(u)
    assert float(value) == pytest.approx(0.3 * float(metrics["mse"]) + 1.7 * float(metrics["learner"]), rel=1e-6)
