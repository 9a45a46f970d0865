"""What holds for every objective: exact over devices and blocks, deaf to order and padding, finite on poor batches."""

import dataclasses
import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig, WeightConfig
from learner_jax.mesh import make_mesh
from learner_jax.objectives.heads import project
from learner_jax.objectives.parts import Part, parts
from tfds_builders.errors import InputError

PARTS = [name for name in objectives.list_objectives() if isinstance(parts.get(name), Part)]
ALL = [f"mse+{name}" if parts.get(name).regularises else name for name in PARTS]  # what regularises needs a regression


@functools.cache
def compiled(name, n_devices, fields):
    config = ObjectiveConfig(**{"name": name, "projection": 4} | dict(fields))
    objective = objectives.create(config, make_mesh(jax.devices()[:n_devices]), 16)

    @jax.jit
    @jax.value_and_grad
    def value(trained, state, batch):
        params, u = trained
        return objective.loss(params, state, project(params, u), u, batch, None, 0.5)[0]

    return objective, value


def value_and_gradients(name, u, batch, n_devices=1, **fields):
    objective, value = compiled(name, n_devices, tuple(fields.items()))
    with jax.enable_x64(False):  # the same numbers in both precisions
        params, state = objective.init(jax.random.key(1), u.shape[1])
    params = jax.tree.map(lambda x: x.astype(u.dtype), params)
    return value((params, u), state, batch)


def assert_equal(got, expected, tolerance):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def one_of_each_file():
    """All, where all but the first of each file are marked slow."""
    first = {inspect.getmodule(parts.get(name.split("+")[-1]).function): name for name in reversed(ALL)}.values()
    return [name if name in first else pytest.param(name, marks=pytest.mark.slow) for name in ALL]


@pytest.mark.parametrize("name", ALL)
def test_value_and_gradient_depend_on_neither_devices_nor_blocks(name, make_batch):
    batch, u = make_batch(mask=np.arange(16) != 5), np.random.default_rng(1).normal(size=(16, 6))
    with jax.enable_x64(True):
        reference = value_and_gradients(name, jnp.asarray(u, jnp.float64), batch)
        assert reference[0].dtype == np.float64
        got = value_and_gradients(name, jnp.asarray(u, jnp.float64), batch, 8, block=1)
    assert_equal(got, reference, 1e-9)
    assert_equal(value_and_gradients(name, jnp.asarray(u, jnp.float32), batch), reference, 1e-5)


@pytest.mark.parametrize("name", one_of_each_file())
def test_nor_do_they_on_other_numbers_of_devices_and_in_other_blocks(name, make_batch):
    batch, u = make_batch(mask=np.arange(16) != 5), np.random.default_rng(1).normal(size=(16, 6))
    with jax.enable_x64(True):
        reference = value_and_gradients(name, jnp.asarray(u, jnp.float64), batch)
        for n_devices, block in ((2, 3), (4, 256)):
            got = value_and_gradients(name, jnp.asarray(u, jnp.float64), batch, n_devices, block=block)
            assert_equal(got, reference, 1e-9)
    assert_equal(value_and_gradients(name, jnp.asarray(u, jnp.float32), batch, 8), reference, 1e-5)


@pytest.mark.parametrize("name", ["rank_n_contrast", "mse+ranksim", "learner"])
def test_rows_that_devices_cannot_share_evenly_are_padded(name, make_batch):
    batch, u = make_batch(13), jnp.asarray(np.random.default_rng(7).normal(size=(13, 6)), jnp.float32)
    assert_equal(value_and_gradients(name, u, batch, 8), value_and_gradients(name, u, batch, 1), 1e-5)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_the_batch_and_padding_change_nothing(name, make_batch):
    batch, u = make_batch(), jnp.asarray(np.random.default_rng(2).normal(size=(16, 6)), jnp.float32)
    value, (params, gradient) = value_and_gradients(name, u, batch)
    order = np.random.default_rng(3).permutation(16)
    moved = value_and_gradients(name, u[order], jax.tree.map(lambda x: x[order], batch))
    assert_equal(moved, (value, (params, gradient[order])), 2e-5)
    twice = jax.tree.map(lambda x: np.concatenate([x, x[:8]]), batch)
    twice = dataclasses.replace(twice, mask=np.arange(24) < 16)
    padded = value_and_gradients(name, jnp.concatenate([u, u[:8] + 3]), twice)
    assert_equal(padded, (value, (params, jnp.concatenate([gradient, jnp.zeros((8, 6))]))), 2e-5)


POOR = {
    "one patient": {"patient": np.zeros(16, np.int32)},
    "all scores equal": {"score": np.full(16, 1.0, np.float32)},
    "nothing labeled": {"score": np.full(16, np.nan, np.float32)},
    "one labeled": {"score": np.where(np.arange(16) == 3, 1, np.nan).astype(np.float32)},
    "nothing real": {"mask": np.zeros(16, bool)},
    "one scan repeated": {"row": np.zeros(16, np.int32), "patient": np.zeros(16, np.int32)},
}


@pytest.mark.parametrize("name", ["lilac", "lilac_order", "davidson", "mse+conr", "mse+ranksim"])
def test_what_compares_embeddings_has_no_projection(name, make_batch):
    objective, _ = compiled(name, 1, (("queue", 8),))
    params, state = objective.init(jax.random.key(1), 6)
    assert "projection" not in params
    assert state == {}
    z, u = jnp.asarray(np.random.default_rng(8).normal(size=(2, 16, 6)), jnp.float32)
    value = jax.jit(lambda z: objective.loss(params, state, z, u, make_batch(), None, 0.0)[0])
    values = [value(z) for z in (z, u)]
    assert float(values[0]) == float(values[1])


def test_without_a_projection_embeddings_are_compared_and_queued(make_batch):
    objective, _ = compiled("learner", 1, (("queue", 8), ("projection", 0)))
    params, state = objective.init(jax.random.key(1), 6)
    assert params == {}
    u = jnp.asarray(np.random.default_rng(8).normal(size=(16, 6)), jnp.float32)
    step = jax.jit(lambda u: objective.loss(params, state, project(params, u), u, make_batch(), None, 0.0))
    loss, _, state = step(u)
    d = np.abs(np.subtract.outer(*2 * [np.asarray(make_batch().score, np.float64)]))
    unit = np.asarray(u, np.float64) / np.linalg.norm(u, axis=1, keepdims=True)
    patient = np.asarray(make_batch().patient)
    w = np.where(patient[:, None] != patient, d, 0)
    target = 1 - np.cos(np.pi * np.minimum(d / 4.0, 1))
    assert float(loss) == pytest.approx((w * (1 - unit @ unit.T - target) ** 2).sum() / w.sum(), rel=1e-5)
    assert all((np.abs(np.asarray(u) - row).sum(1) == 0).any() for row in np.asarray(state["queue"]["z"]))


@pytest.mark.parametrize("name", ALL)
def test_poor_batches_give_finite_values_and_gradients(name, make_batch):
    u = np.random.default_rng(4).normal(size=(16, 6))
    batches = [make_batch(**fields) for fields in POOR.values()]
    for embeddings in (u, np.zeros((16, 6)), np.ones((16, 6)), 1e4 * u):
        for batch in batches:
            result = value_and_gradients(name, jnp.asarray(embeddings, jnp.float32), batch)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))
    result = value_and_gradients(name, jnp.asarray(u, jnp.bfloat16), make_batch())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))
    result = value_and_gradients(name, jnp.asarray(u[:2], jnp.float32), make_batch(2))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))


@pytest.mark.parametrize("name", objectives.list_objectives())
def test_says_what_it_computes_and_where_it_comes_from(name):
    one = parts.get(name)
    assert len(one.summary) > 20
    assert len(one.formula) > 10
    assert len(one.source) > 10
    assert "\n\n" in inspect.getdoc(one.function)


def test_each_objective_has_a_weight():
    assert {field.name for field in dataclasses.fields(WeightConfig)} == set(PARTS)


def test_a_sum_is_the_weighted_sum_of_its_parts(make_batch):
    u, batch = jnp.asarray(np.random.default_rng(5).normal(size=(16, 6)), jnp.float32), make_batch()
    single = [value_and_gradients(name, u, batch)[0] for name in ("mse", "rank_n_contrast", "learner")]
    weights = WeightConfig(mse=0.5, rank_n_contrast=2.0, learner=0.25)
    config = ObjectiveConfig(name="mse+rank_n_contrast+learner", projection=4, weights=weights)
    objective = objectives.create(config, make_mesh(jax.devices()[:1]), 16)
    params, state = objective.init(jax.random.key(1), 6)
    summed, _, _ = jax.jit(objective.loss)(params, state, project(params, u), u, batch, None, 0.0)
    assert float(summed) == pytest.approx(float(0.5 * single[0] + 2 * single[1] + 0.25 * single[2]), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mse+learner_combined", r"holds mse more than once"),
        ("mse+learnr", r"no objective is called 'learnr'; did you mean 'learner'\?"),
        ("conr", r"conr regularises a regression .* Set --config.objective.name=mse\+conr"),
    ],
)
def test_a_sum_that_makes_no_sense_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        objectives.create(ObjectiveConfig(name=name), make_mesh(jax.devices()[:1]), 16)
