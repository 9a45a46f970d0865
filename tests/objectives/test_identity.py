"""Keeping patients apart out of the embedding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh
from learner_jax.objectives.api import projected
from learner_jax.objectives.identity import centre_patients


def test_the_head_goes_down_and_the_encoder_up_the_same_slope(make_batch):
    objective = objectives.create(ObjectiveConfig(name="patient_adversary"), make_mesh(jax.devices()[:1]), 8)
    params, state = objective.init(jax.random.key(0), 6)
    b, u = make_batch(mask=np.arange(16) != 3), np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)

    def cross_entropy(params, u):
        hidden, out = params["patient_adversary"]["hidden"], params["patient_adversary"]["out"]
        logits = np.maximum(u @ hidden["kernel"] + hidden["bias"], 0) @ out["kernel"] + out["bias"]
        own = np.take_along_axis(logits, b.patient[:, None], 1)[:, 0]
        return np.mean((np.logaddexp.reduce(logits, 1) - own)[b.mask])

    exact = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    loss = lambda params, u: objective.loss(params, state, u, u, b, None, 0.0)[0]  # noqa: E731
    value, (of_head, of_u) = jax.jit(jax.value_and_grad(loss, (0, 1)))(params, jnp.asarray(u))
    assert float(value) == pytest.approx(cross_entropy(exact, u.astype(np.float64)), rel=1e-5)
    step = np.zeros((16, 6))
    step[2, 1] = 1e-5
    slope = (cross_entropy(exact, u + step) - cross_entropy(exact, u - step)) / 2e-5
    assert float(of_u[2, 1]) == pytest.approx(-slope, abs=1e-6)
    moved = jax.tree.map(np.copy, exact)
    moved["patient_adversary"]["out"]["bias"][5] += 1e-5
    slope = (cross_entropy(moved, u.astype(np.float64)) - cross_entropy(exact, u.astype(np.float64))) / 1e-5
    assert float(of_head["patient_adversary"]["out"]["bias"][5]) == pytest.approx(slope, abs=1e-4)


def test_centred_rows_are_differences_from_the_patients_mean(make_batch):
    b = make_batch(mask=np.arange(16) % 6 != 4, score=np.where(np.arange(16) == 3, np.nan, make_batch().score))
    z = np.random.default_rng(2).normal(size=(16, 3)).astype(np.float32)
    rows = jax.jit(lambda z: centre_patients(projected(z, b)))(z)
    for i in range(16):
        mine = [j for j in range(16) if b.patient[j] == b.patient[i] and b.mask[j] and np.isfinite(b.score[j])]
        assert bool(rows.labeled[i]) == (i in mine and len(mine) > 1)
        if rows.labeled[i]:
            np.testing.assert_allclose(rows.z[i], z[i] - z[mine].mean(0), atol=1e-6)
            np.testing.assert_allclose(rows.score[i], b.score[i] - b.score[mine].mean(), atol=1e-6)


def test_two_augmented_copies_of_one_scan_are_no_change(make_batch):
    b = make_batch(patient=np.arange(16, dtype=np.int32) // 2, row=np.arange(16, dtype=np.int32) // 2)
    z = jnp.asarray(np.random.default_rng(2).normal(size=(16, 3)), jnp.float32)
    assert not centre_patients(projected(z, b)).labeled.any()
    b = make_batch(patient=np.arange(16, dtype=np.int32) // 4, row=np.arange(16, dtype=np.int32) // 2)
    assert centre_patients(projected(z, b)).labeled.all()


def test_what_is_constant_in_a_patient_changes_nothing_once_centred(make_batch):
    b = make_batch()
    config = ObjectiveConfig(name="rank_n_contrast", centre_patients=True)
    objective = objectives.create(config, make_mesh(jax.devices()[:2]), 8)
    params, state = objective.init(jax.random.key(0), 6)
    loss = jax.jit(lambda z, b: objective.loss(params, state, z, z, b, None, 0.0)[0])
    z, style = np.random.default_rng(3).normal(size=(16, 6)), np.random.default_rng(4).normal(size=(8, 6))
    level = np.random.default_rng(5).normal(size=8)
    plain = loss(jnp.asarray(z, jnp.float32), b)
    styled = make_batch(score=(b.score + level[b.patient]).astype(np.float32))
    with_style = loss(jnp.asarray(z + 3 * style[b.patient], jnp.float32), styled)
    assert float(with_style) == pytest.approx(float(plain), rel=1e-4)
    alone = make_batch(patient=np.arange(16, dtype=np.int32))
    assert float(loss(jnp.asarray(z, jnp.float32), alone)) == 0
