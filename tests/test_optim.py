"""Optimizers and schedules: against closed forms and numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.batch import BatchSpec
from learner_jax.config import OptimConfig
from learner_jax.optim import check_freeze, decayed, make_optimizer, moving_average, schedule
from tfds_builders.errors import InputError


def test_cosine_with_warm_up_by_its_formula():
    rate = schedule(OptimConfig(learning_rate=0.1, warmup=0.1), 100)
    for step in (0, 3, 9):
        assert float(rate(step)) == pytest.approx(0.1 * step / 10)
    for step in (10, 40, 99, 100):
        assert float(rate(step)) == pytest.approx(0.05 * (1 + np.cos(np.pi * (step - 10) / 90)), abs=1e-7)


def test_constant_without_warm_up():
    rate = schedule(OptimConfig(learning_rate=0.1, warmup=0.0, schedule="constant"), 100)
    np.testing.assert_allclose([float(rate(step)) for step in (0, 50, 99)], 0.1)


def test_only_kernels_decay():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "norm": {"scale": jnp.ones(2)}, "cls": jnp.ones((1, 2))}
    assert decayed(params) == {"kernel": True, "bias": False, "norm": {"scale": False}, "cls": False}


@pytest.mark.parametrize("name", ["swin3d_t", "mvitv2_s", "vit_s16", "vit3d_b16", "x3d_s", "tsm_resnet18"])
def test_in_a_backbone_what_multiplies_the_scan_decays_and_no_table(name):
    shapes = backbones.create(name).shapes(BatchSpec(2, 16, 224, 224, 1))["params"]
    decay = flatten_dict(decayed(shapes), sep="/")
    size = {path: leaf.size for path, leaf in flatten_dict(shapes, sep="/").items()}
    assert {path for path in decay if decay[path]} == {path for path in decay if path.rpartition("/")[2] == "kernel"}
    assert sum(size[path] for path in decay if decay[path]) > 0.9 * sum(size.values())


@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb"])
def test_every_optimizer_lowers_a_quadratic_and_decays_kernels_alone(name):
    optimizer = make_optimizer(OptimConfig(name=name, weight_decay=0.1, warmup=0.0), 50)
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    state = optimizer.init(params)
    for _ in range(5):
        updates, state = optimizer.update(jax.tree.map(lambda x: 2 * x, params), state, params)
        params = jax.tree.map(lambda x, update: x + 0.05 * update, params, updates)
    assert all((leaf < 3).all() for leaf in jax.tree.leaves(params))

    still = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, still), optimizer.init(still), still)
    assert (updates["kernel"] < 0).all()
    assert (updates["bias"] == 0).all()


def test_the_rate_multiplies_what_optax_moves_at_a_rate_of_1():
    """Decay and momentum of all three included, so a rate may be a number that a program is given."""
    rng, kernel = np.random.default_rng(0), {"kernel": jnp.full((3, 2), 3.0)}
    gradients = [{"kernel": jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)} for _ in range(6)]

    def run(optimizer, rate):
        params, state = kernel, optimizer.init(kernel)
        for gradient in gradients:
            updates, state = optimizer.update(gradient, state, params)
            params = jax.tree.map(lambda x, update: x + rate * update, params, updates)
        return params["kernel"]

    config = OptimConfig(learning_rate=0.03, weight_decay=0.1, clip_norm=0.0)
    rate = schedule(config, 6)
    decaying = {"weight_decay": 0.1, "mask": decayed}
    sgd = optax.sgd(rate, momentum=config.momentum, nesterov=True)
    known = {
        "adamw": optax.adamw(rate, **decaying),
        "lamb": optax.lamb(rate, **decaying),
        "sgd": optax.chain(optax.add_decayed_weights(0.1, mask=decayed), sgd),
    }
    for name, theirs in known.items():
        config.name = name
        np.testing.assert_allclose(run(make_optimizer(config, 6), 0.03), run(theirs, 1.0), rtol=1e-6)


def test_clipping_bounds_the_step_of_sgd():
    huge = {"w": jnp.full((2, 2), 1e6)}
    for clip, expected in ((1.0, 1.0), (0.0, 2e6)):
        config = OptimConfig(
            name="sgd",
            weight_decay=0.0,
            warmup=0.0,
            schedule="constant",
            momentum=0.0,
            clip_norm=clip,
        )
        optimizer = make_optimizer(config, 10)
        updates, _ = optimizer.update(huge, optimizer.init(huge), huge)
        assert float(jnp.linalg.norm(updates["w"])) == pytest.approx(expected, rel=1e-5)


def test_layers_further_from_the_embedding_learn_slower():
    config = OptimConfig(name="sgd", schedule="constant", warmup=0.0, momentum=0.0, clip_norm=0.0)
    config.weight_decay, config.layer_decay = 0.1, 0.5
    kernel = {"kernel": jnp.ones((2, 2))}
    params = {"backbone": {"stem": kernel, "norm": jnp.ones(2)}, "objective": {"stem": kernel}}
    optimizer = make_optimizer(config, 10, {"stem/kernel": 3, "norm": 0})
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    np.testing.assert_allclose(updates["backbone"]["stem"]["kernel"], -(0.5**3) * 1.1, rtol=1e-6)  # decay included
    np.testing.assert_allclose(updates["backbone"]["norm"], -1.0)
    np.testing.assert_allclose(updates["objective"]["stem"]["kernel"], -1.1, rtol=1e-6)  # a head, whatever its name


@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb"])
def test_what_is_frozen_neither_moves_nor_decays_nor_clips_nor_keeps_moments(name):
    config = OptimConfig(name=name, freeze="conv1/*, layer?/0/*", weight_decay=0.1, warmup=0.0)
    part = {"conv1": {"kernel": jnp.ones((2, 2))}, "layer1": {"0": {"k": jnp.ones(2)}, "1": {"k": jnp.ones((2, 2))}}}
    params = {"backbone": part, "objective": {"conv1": {"kernel": jnp.ones((2, 2))}}}
    optimizer = make_optimizer(config, 10)
    state = optimizer.init(params)
    gradients = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(gradients, state, params)
    assert (updates["backbone"]["conv1"]["kernel"] == 0).all()
    assert (updates["backbone"]["layer1"]["0"]["k"] == 0).all()
    assert (updates["backbone"]["layer1"]["1"]["k"] < 0).all()
    assert (updates["objective"]["conv1"]["kernel"] < 0).all()
    moments = {"adamw": 2, "sgd": 1, "lamb": 2}[name]
    assert sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim) == moments * (4 + 4)

    gradients["backbone"]["conv1"]["kernel"] *= 1e9  # does not crowd the others out of the clipped norm
    again, _ = optimizer.update(gradients, state, params)
    jax.tree.map(np.testing.assert_array_equal, again, updates)


def test_a_pattern_that_fits_no_parameter_is_refused_with_those_that_there_are():
    params = {"conv1": {"kernel": 0}, "layer1": {"0": {"kernel": 0}}}
    check_freeze("", params)
    check_freeze("conv1/*,layer1/0/*", params)
    with pytest.raises(InputError, match=r"names 'layer9/\*', which .* there are conv1/\*, layer1/\* .*optim.freeze="):
        check_freeze("conv1/*,layer9/*", params)


def test_of_k_gradients_the_mean_moves_the_parameters_once_and_the_schedule_counts_such_updates():
    config = OptimConfig(warmup=0.25)
    rng = np.random.default_rng(0)
    gradients = [{"kernel": jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)} for _ in range(12)]
    start = {"kernel": jnp.ones((3, 2))}

    def run(optimizer, gradients):
        params, state = start, optimizer.init(start)
        for gradient in gradients:
            updates, state = optimizer.update(gradient, state, params)
            params = jax.tree.map(jnp.add, params, updates)
        return params["kernel"]

    means = [jax.tree.map(lambda *parts: sum(parts) / 3, *gradients[i : i + 3]) for i in range(0, len(gradients), 3)]
    of_means = run(make_optimizer(config, 4), means)
    config.accumulate = 3
    in_parts = make_optimizer(config, 12)
    np.testing.assert_allclose(run(in_parts, gradients), of_means, rtol=1e-5)
    np.testing.assert_array_equal(run(in_parts, gradients[:11]), run(in_parts, gradients[:9]))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_moving_average_by_its_recursion(accumulate):
    config = OptimConfig(average=0.5, accumulate=accumulate)
    rng = np.random.default_rng(0)
    path = np.repeat(rng.normal(size=7), accumulate)  # in between, parameters do not move
    average, expected = {"w": jnp.asarray(2.0)}, 2.0
    for batches, value in enumerate(path, start=1):
        average = moving_average(config, average, {"w": jnp.asarray(value)}, batches)
        if batches % accumulate == 0:
            n = batches // accumulate
            decay = min(0.5, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * value
        assert float(average["w"]) == pytest.approx(expected, rel=1e-6)


def test_a_run_may_go_on_with_other_clipping_and_layer_decay():
    """What a run that diverges is told to try: its optimizer's state must still fit."""
    params = {"backbone": {"kernel": jnp.ones((2, 2))}}
    trees = {
        jax.tree.structure(
            make_optimizer(OptimConfig(clip_norm=clip, layer_decay=decay), 9, {"kernel": 1}).init(params)
        )
        for clip in (0.0, 1.0)
        for decay in (0.5, 1.0)
    }
    assert len(trees) == 1
