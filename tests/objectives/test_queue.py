"""A queue of old projections: the same as a wider batch whose further rows are no anchors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh


def start(queue, n_devices=1, name="rank_n_contrast"):
    config = ObjectiveConfig(name=name, projection=4, queue=queue)
    objective = objectives.create(config, make_mesh(jax.devices()[:n_devices]), 64)
    params, state = objective.init(jax.random.key(0), 4)
    loss = jax.jit(
        jax.value_and_grad(lambda z, s, b: objective.loss(params, s, z, z, b, None, 0.0)[0::2], has_aux=True)
    )
    return loss, state


def rank_n_contrast_of_anchors(z, y, anchors):
    s = -np.linalg.norm(z[:, None] - z[None], axis=-1) / 2
    n, terms = len(z), []
    for i in range(anchors):
        for j in range(n):
            if i != j:
                away = [s[i, k] for k in range(n) if k != i and abs(y[i] - y[k]) >= abs(y[i] - y[j]) - 1e-5]
                terms.append(np.logaddexp.reduce(away) - s[i, j])
    return np.mean(terms)


@pytest.mark.parametrize("n_devices", [1, 4])
def test_anchors_see_the_queue_and_the_gradient_does_not(n_devices, make_batch):
    batches = [make_batch(4, seed=seed) for seed in range(5)]
    zs = list(np.random.default_rng(1).normal(size=(5, 4, 4)))
    with jax.enable_x64(True):
        loss, state = start(12, n_devices)
        for k, (z, b) in enumerate(zip(zs, batches, strict=True)):
            (value, state), gradient = loss(jnp.asarray(z), state, b)
            seen = list(range(k, max(k - 4, -1), -1))  # this batch and the three before it
            all_z = np.concatenate([zs[i] for i in seen])
            all_y = np.concatenate([batches[i].score for i in seen]).astype(np.float64)
            assert float(value) == pytest.approx(rank_n_contrast_of_anchors(all_z, all_y, 4), rel=1e-6)
    step = np.zeros_like(all_z)
    step[2, 1] = 1e-5
    slope = rank_n_contrast_of_anchors(all_z + step, all_y, 4) - rank_n_contrast_of_anchors(all_z - step, all_y, 4)
    assert float(gradient[2, 1]) == pytest.approx(slope / 2e-5, abs=1e-6)
    assert state["queue"]["mask"].all()
    np.testing.assert_array_equal(state["queue"]["z"][:4], zs[-1])


def test_masked_rows_are_not_kept(make_batch):
    loss, state = start(6)
    b = make_batch(4, mask=np.array([True, False, True, False]))
    (_, state), _ = loss(jnp.asarray(np.random.default_rng(2).normal(size=(4, 4)), jnp.float32), state, b)
    assert state["queue"]["mask"].tolist() == [True, True, False, False, False, False]
    assert state["queue"]["row"][:2].tolist() == [0, 2]


def test_objectives_that_compare_predictions_see_the_batch_alone(make_batch):
    values = []
    for queue in (0, 8):
        loss, state = start(queue, name="davidson")
        for seed in range(2):
            z = np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32)
            (value, state), _ = loss(jnp.asarray(z), state, make_batch(4, seed=seed))
        values.append(float(value))
    assert values[0] == values[1]
