"""train_step: the same on any number of devices, blind to padding, untouched by what is not finite."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from benchmarks.collectives import collectives, host_transfers
from learner_jax import augment, placement
from learner_jax.assembly import compose
from learner_jax.backbones.layers import attention, attention_on_tpu
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.batch import BatchSpec
from learner_jax.config import AugmentConfig, Config, MeshConfig
from learner_jax.fields import override
from learner_jax.mesh import make_mesh, to_global
from learner_jax.state import init_state
from learner_jax.step import train_step

SHAPE = (2, 32, 32, 1)
OFF = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})


def set_up(
    n_devices=1, objective="learner_combined", jit=True, strengths=None, projection=8, fields=(), seed=0, **mesh
):
    config = Config(seed=seed, steps=10, augment=strengths or AugmentConfig())
    config.backbone.name = "tsm_resnet18-test"
    config.objective.name, config.objective.projection = objective, projection
    config.optim.warmup, config.optim.learning_rate = 0.0, 1e-2
    for field in fields:
        override(config, f"--config.{field}")
    mesh = make_mesh(jax.devices()[:n_devices], MeshConfig(**mesh))
    spec = BatchSpec(16, *SHAPE)
    recipe = compose(config, mesh, spec, 16, augment.Augmentation(config.augment, "ultrasound"))
    parts = (recipe.backbone, recipe.objective, recipe.optimizer, spec, mesh)
    state = init_state(seed, config.optim.learning_rate, *parts, averaged=config.optim.average > 0)
    step = partial(train_step, recipe)
    return state, jax.jit(step) if jit else step, lambda batch: jax.tree.map(partial(to_global, mesh), batch)


def test_the_loss_is_the_same_on_1_and_8_devices(make_batch):
    losses = []
    for n_devices in (1, 8):
        state, step, place = set_up(n_devices)
        losses.append([])
        for seed in range(3):
            state, metrics = step(state, place(make_batch(16, seed, SHAPE)))
            losses[-1].append(float(metrics["loss"]))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_a_scan_that_comes_again_in_a_batch_is_augmented_anew_alike_on_1_and_8_devices(make_batch):
    one = make_batch(16, 0, SHAPE)
    same = {"scan": np.repeat(one.scan[:1], 16, 0), "row": np.full(16, 5, np.int32)}
    found = []
    for n_devices in (1, 8):
        state, step, place = set_up(n_devices)
        found.append(step(state, place(make_batch(16, 0, SHAPE, **same)))[1])
    assert float(found[0]["effective_rank"]) > 1.01, "all projections are one"
    for name in ("loss", "effective_rank"):
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-5)


def test_seeds_and_rates_share_one_program_and_seeds_draw_other_numbers(make_batch):
    texts, losses = [], []
    for seed in (0, 2**32 - 1):
        state, step, place = set_up(seed=seed, objective="mse", fields=[f"optim.learning_rate={0.1 / (1 + seed)}"])
        batch = place(make_batch(16, 0, SHAPE))
        texts.append(step.lower(state, batch).as_text())
        start, _, _ = set_up(objective="mse")
        same_weights = dataclasses.replace(start, seed=state.seed)
        losses.append(float(step(same_weights, batch)[1]["loss"]))
    assert texts[0] == texts[1]
    assert losses[0] != losses[1], "they augment alike"


@pytest.mark.parametrize(("backbone", "device"), [("tsm_resnet18-test", "cpu"), ("tsm_resnet50-test", "tpu")])
def test_between_devices_go_projections_once_the_gradient_once_and_statistics(backbone, device, make_batch):
    state, step, place = set_up(8, fields=[f"backbone.name={backbone}"])
    with tracing_for(device):
        hlo = step.lower(state, place(make_batch(16, 0, SHAPE))).compile().as_text()
    exchanged = collectives(hlo)
    # of a kernel over frames that is a shift, most is zero
    assert not [array for one in exchanged for array in one.arrays if array.shape[:2] == (3, 1)]
    gathered = [array for one in exchanged if one.kind == "all-gather" for array in one.arrays]
    assert [array.shape for array in gathered if array.size > 16] == [(16, 8)]
    size = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    summed = sum(one.size for one in exchanged if one.kind != "all-gather")
    # beside the gradient: that of the projections, and batch statistics with counts, forward and backward
    assert size(state.params) <= summed <= size(state.params) + 16 * 8 + 4 * size(state.stats) + 50
    assert not host_transfers(hlo)


def test_the_kernel_that_attends_on_tpus_is_told_the_devices_and_changes_no_step(make_batch, monkeypatch):
    about = ["backbone.name=videomae-test", "train.compute=bfloat16"]
    losses = []
    for fewest in (10**6, 1):  # XLA's attention, the kernel
        monkeypatch.setattr(attention, "_FEW_TOKENS", fewest)
        monkeypatch.setattr(attention, "flash_attention", partial(attention_on_tpu.flash_attention, interpret=True))
        state, step, place = set_up(8, fields=about)
        batch = place(make_batch(16, 0, SHAPE))
        with tracing_for("tpu"):
            assert ("splash" in str(step.trace(state, batch).jaxpr)) == (fewest == 1)
            state, first = step(state, batch)
            second = step(state, batch)[1]
        losses.append([float(metrics[name]) for metrics in (first, second) for name in ("loss", "gradient_norm")])
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-2)  # in bfloat16
    assert losses[0] != losses[1], "nothing has changed"


def test_parameters_cut_over_devices_learn_the_same(make_batch):
    losses, kernels = [], []
    for mesh in ({}, {"fsdp": 4}, {"replica": 2, "fsdp": 2}):
        state, step, place = set_up(8, projection=1024, **mesh)
        losses.append([])
        for seed in range(3):
            state, metrics = step(state, place(make_batch(16, seed, SHAPE)))
            losses[-1].append(float(metrics["loss"]))
        kernel = state.params["objective"]["projection"]["out"]["kernel"]
        kernels.append(np.asarray(kernel))
        assert {shard.data.size for shard in kernel.addressable_shards} == {kernel.size // mesh.get("fsdp", 1)}
    for loss, kernel in zip(losses[1:], kernels[1:], strict=True):
        np.testing.assert_allclose(loss, losses[0], rtol=1e-5)
        np.testing.assert_allclose(kernel, kernels[0], atol=1e-5)


@pytest.mark.parametrize("backbone", ["tsm_resnet18-test", "videomae-test"])
def test_what_is_cut_is_gathered_once_and_no_activation_moves(backbone, make_batch, monkeypatch):
    monkeypatch.setattr(placement, "SMALLEST", 64)
    state, step, place = set_up(8, fields=[f"backbone.name={backbone}"], fsdp=8)
    exchanged = collectives(step.lower(state, place(make_batch(16, 0, SHAPE))).compile().as_text())
    cut = [leaf for leaf in jax.tree.leaves(state.params) if not leaf.is_fully_replicated]
    assert len(cut) > 7
    gathered = [array.size for one in exchanged if one.kind == "all-gather" for array in one.arrays]
    assert sorted(size for size in gathered if size > 16) == sorted([leaf.size for leaf in cut] + [16 * 8])  # and z
    weights = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    beside = 16 * 8 + 4 * sum(leaf.size for leaf in jax.tree.leaves(state.stats)) + 50
    assert weights <= sum(one.size for one in exchanged if one.kind != "all-gather") <= weights + beside


def test_it_runs_without_jit_and_gives_the_same(make_batch):
    batch = make_batch(16, 0, SHAPE)
    values = []
    for jit in (True, False):
        state, step, place = set_up(objective="mse", jit=jit, strengths=OFF)  # operation by operation it takes 40 s
        state, metrics = step(state, place(batch))
        values.append(float(metrics["loss"]))
        assert int(state.step) == 1
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_what_is_in_the_padding_changes_nothing(make_batch):
    mask = np.arange(16) < 11
    first = make_batch(16, 0, SHAPE, mask=mask)
    scan, score, patient = first.scan.copy(), first.score.copy(), first.patient.copy()
    scan[11:], score[11:], patient[11:] = 255, 99, 0
    second = make_batch(16, 0, SHAPE, mask=mask, scan=scan, score=score, patient=patient)
    state, step, place = set_up()
    one, two = step(state, place(first)), step(state, place(second))
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(make_batch):
    state, step, place = set_up(fields=["optim.average=0.9"])
    poisoned = make_batch(16, 0, SHAPE, scale=np.full(16, np.nan, np.float32))
    after, metrics = step(state, place(poisoned))
    assert (int(after.step), int(after.skipped)) == (1, 1)
    assert float(metrics["skipped"]) == 1
    for part in ("params", "average", "stats", "optimizer", "objective"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, part), getattr(state, part))
    healthy, _ = step(after, place(make_batch(16, 0, SHAPE)))
    assert int(healthy.skipped) == 1


def test_arms_start_from_the_same_encoder():
    states = [set_up(objective=name)[0] for name in ("learner_combined", "learner", "mse")]
    for other in states[1:]:
        jax.tree.map(np.testing.assert_array_equal, states[0].params["backbone"], other.params["backbone"])


def test_training_lowers_the_loss(make_batch):
    state, step, place = set_up(objective="mse", strengths=OFF)  # white noise, moved by a pixel, is another picture
    batch = place(make_batch(16, 0, SHAPE))
    losses = []
    for _ in range(10):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.8 * losses[0]


def test_two_batches_make_the_update_of_both(make_batch):
    """Where rows are costed one by one and normalised one by one, a batch in parts is the batch."""
    whole = make_batch(16, 0, SHAPE)
    half = lambda i: jax.tree.map(lambda x: x[8 * i : 8 * i + 8], whole)  # noqa: E731
    fields, kernels = ["backbone.norm=group", "optim.name=sgd"], []
    for batches, more in (([whole], []), ([half(0), half(1)], ["optim.accumulate=2"])):
        state, step, place = set_up(objective="mse", strengths=OFF, fields=[*fields, *more])
        before = state.params
        for batch in batches:
            jax.tree.map(np.testing.assert_array_equal, state.params, before)
            state, _ = step(state, place(batch))
        kernels.append(state.params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), *kernels)


def test_in_bfloat16_the_backbone_computes_and_nothing_else(make_batch):
    batch, losses = make_batch(16, 0, SHAPE), []
    for compute in ("float32", "bfloat16"):
        state, step, place = set_up(strengths=OFF, fields=[f"train.compute={compute}"])
        products = str(step.trace(state, place(batch)).jaxpr).count("bf16[")
        state, metrics = step(state, place(batch))
        losses.append(float(metrics["loss"]))
        assert {leaf.dtype for leaf in jax.tree.leaves((state.params, state.stats))} == {np.dtype("float32")}
        assert (products > 100) == (compute == "bfloat16")
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_what_is_computed_again_changes_neither_update_nor_statistics(make_batch):
    batch, states = make_batch(16, 0, SHAPE), []
    for name in ("none", "blocks", "dots"):
        state, step, place = set_up(fields=[f"train.remat={name}"])
        state, _ = step(state, place(batch))
        states.append(state)
    for state in states[1:]:
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), state.params, states[0].params)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), state.stats, states[0].stats)


def test_the_average_is_kept_beside_the_parameters(make_batch):
    state, step, place = set_up(fields=["optim.average=0.5"])
    expected = jax.device_get(state.params)
    for n in (1, 2, 3):
        state, _ = step(state, place(make_batch(16, n, SHAPE)))
        decay = min(0.5, (1 + n) / (10 + n))
        expected = jax.tree.map(lambda a, p, d=decay: d * a + (1 - d) * np.asarray(p), expected, state.params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), state.average, expected)
    assert state.scored is state.average
