"""Temperature and weights over a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh
from learner_jax.objectives.parts import parts
from learner_jax.objectives.sums import ramp, temperature


def test_the_temperature_goes_geometrically_from_start_to_end():
    part = parts.get("rank_n_contrast")
    assert float(temperature(part, ObjectiveConfig(), 0.3)) == pytest.approx(2.0)
    assert float(temperature(part, ObjectiveConfig(temperature=0.5), 1.0)) == pytest.approx(0.5)
    config = ObjectiveConfig(temperature=1.0, temperature_end=0.01)
    got = [float(temperature(part, config, progress)) for progress in (0, 0.5, 1)]
    np.testing.assert_allclose(got, [1, 0.1, 0.01], rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("constant", [1, 1, 1, 1, 1]), ("rise", [0, 0.5, 1, 1, 1]), ("fall", [1, 1, 1, 0.5, 0])],
)
def test_ramps(kind, expected):
    config = ObjectiveConfig(ramp=kind, ramp_share=0.2)
    got = [float(ramp(config, progress)) for progress in (0, 0.1, 0.5, 0.9, 1)]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_ramp_scales_all_but_the_regression(make_batch):
    config = ObjectiveConfig(name="mse+learner", ramp="rise", ramp_share=0.5, projection=4)
    objective = objectives.create(config, make_mesh(jax.devices()[:1]), 16)
    params, state = objective.init(jax.random.key(0), 4)
    u, batch = jnp.asarray(np.random.default_rng(0).normal(size=(16, 4)), jnp.float32), make_batch()
    loss = jax.jit(lambda progress: objective.loss(params, state, u, u, batch, None, progress))
    for progress, factor in ((0.0, 0.0), (0.25, 0.5), (0.8, 1.0)):
        value, metrics, _ = loss(progress)
        assert float(value) == pytest.approx(float(metrics["mse"]) + factor * float(metrics["learner"]), rel=1e-5)
