"""Encoding in chunks against encoding at once, and augmented copies."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import augment, backbones, objectives
from learner_jax.batch import BatchSpec
from learner_jax.config import AugmentConfig, Config
from learner_jax.encoder import check_chunk, copies, encode_in_chunks
from learner_jax.mesh import make_mesh, to_global
from learner_jax.optim import make_optimizer
from learner_jax.preprocess import intensity
from learner_jax.state import init_state
from learner_jax.step import Recipe, train_step
from tfds_builders.errors import InputError

SHAPE = (2, 32, 32, 1)
STILL = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})


def set_up(chunk, n_devices=1, objective="supcon", augmentations=1, strengths=STILL):
    config = Config(steps=10)
    config.objective.name, config.objective.projection = objective, 8
    config.objective.augmentations, config.train.grad_cache_chunk = augmentations, chunk
    config.optim.name, config.optim.warmup, config.optim.clip_norm = "sgd", 0.0, 0.0  # an update is the gradient
    mesh = make_mesh(jax.devices()[:n_devices])
    backbone = backbones.create("tsm_resnet18-test", "group")
    objective = objectives.create(config.objective, mesh, n_patients=16)
    optimizer = make_optimizer(config.optim, config.steps)
    augmentation = augment.Augmentation(strengths, "ultrasound")
    recipe = Recipe(config, backbone, objective, optimizer, augmentation, mesh)
    state = init_state(0, config.optim.learning_rate, backbone, objective, optimizer, BatchSpec(16, *SHAPE), mesh)
    return state, jax.jit(partial(train_step, recipe)), lambda batch: jax.tree.map(partial(to_global, mesh), batch)


@pytest.mark.parametrize(
    ("chunk", "n_devices", "augmentations", "strengths"),
    [(4, 1, 1, STILL), (8, 8, 1, STILL), (8, 2, 2, AugmentConfig())],
)
def test_chunks_change_neither_loss_nor_update(chunk, n_devices, augmentations, strengths, make_batch):
    batch = make_batch(16, 0, SHAPE)
    results = []
    for size in (0, chunk):
        state, step, place = set_up(size, n_devices, augmentations=augmentations, strengths=strengths)
        state, metrics = step(state, place(batch))
        results.append((float(metrics["loss"]), float(metrics["gradient_norm"]), jax.device_get(state.params)))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-5)
    assert results[1][1] == pytest.approx(results[0][1], rel=1e-4)
    for a, b in zip(jax.tree.leaves(results[0][2]), jax.tree.leaves(results[1][2]), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_chunks_need_less_memory_and_move_no_scan_between_devices(make_batch):
    batch = make_batch(64, 0, SHAPE)
    sizes = []
    for chunk in (0, 16):
        state, step, place = set_up(chunk, n_devices=2)
        compiled = step.lower(state, place(batch)).compile()
        sizes.append(compiled.memory_analysis().temp_size_in_bytes)
        moved = [
            line for line in compiled.as_text().splitlines() if "all-to-all(" in line or "collective-permute(" in line
        ]
        assert moved == []
    assert sizes[1] < 0.6 * sizes[0]


def test_batch_norm_sees_one_chunk_after_the_other(make_batch):
    seen = []

    def encode(variables, rows):
        seen.append(rows.shape)
        return rows * variables["params"], {"sum": variables["stats"]["sum"] + rows.sum()}

    rows = jnp.arange(24.0).reshape(12, 2)
    mesh = make_mesh(jax.devices()[:2])
    u, stats = encode_in_chunks(encode, 2.0, {"sum": jnp.zeros(())}, rows, 4, mesh)
    np.testing.assert_array_equal(u, 2 * rows)
    assert float(stats["sum"]) == rows.sum()
    assert set(seen) == {(4, 2)}


def test_copies_lie_next_to_each_other_and_are_augmented_apart(make_batch):
    one = make_batch(4, 0, SHAPE, row=np.array([0, 3, 3, 1], np.int32))
    batch, draw = copies(jax.tree.map(jnp.asarray, one), 3, make_mesh())
    assert batch.row.tolist() == [0, 0, 0, 3, 3, 3, 3, 3, 3, 1, 1, 1]
    assert len(set(draw.tolist())) == 12
    assert draw.tolist()[:6] + draw.tolist()[9:] == [0, 1, 2, 9, 10, 11, 3, 4, 5]
    augmentation = augment.Augmentation(AugmentConfig(), "ultrasound")
    seen = np.asarray(
        jax.jit(lambda *given: augmentation(*given, jax.random.key(0)))(intensity(batch), draw, batch.view)
    )
    for i in range(12):
        for j in range(i):
            assert not np.allclose(seen[i], seen[j]), (i, j)


def test_one_copy_draws_as_it_always_did(make_batch):
    batch = jax.tree.map(jnp.asarray, make_batch(4))
    again, draw = copies(batch, 1, make_mesh())
    assert again is batch
    assert draw.tolist() == batch.row.tolist()


def test_two_augmented_copies_of_each_scan_reach_the_objective(make_batch):
    state, step, place = set_up(0, objective="simclr", strengths=AugmentConfig())
    _, metrics = step(state, place(make_batch(16, 0, SHAPE)))
    assert 0 < float(metrics["simclr"]) < 2 * np.log(32)
    with_one, _, _ = set_up(0)
    assert jax.tree.structure(with_one.stats) == jax.tree.structure(state.stats)


def test_a_chunk_that_does_not_fit_is_answered_with_those_that_do():
    mesh = make_mesh(jax.devices()[:4])
    check_chunk(0, 24, mesh)
    check_chunk(8, 24, mesh)
    with pytest.raises(
        InputError, match=r"grad_cache_chunk is 6, .* 24 scans on 4 devices; chunks of 4, 8, 12, 24 fit"
    ):
        check_chunk(6, 24, mesh)
