"""Embeddings of rows equal those of a plain loop, whatever the batches, their order and how many are in flight."""

import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.collectives import collectives
from learner_jax import backbones, placement
from learner_jax.batch import BatchSpec
from learner_jax.config import MeshConfig
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import open_reader
from learner_jax.evaluators import embed
from learner_jax.evaluators.embed import Embedder, encoder_of, late
from learner_jax.mesh import make_mesh, to_global


@pytest.fixture(scope="module")
def reader(make_config):
    config = make_config()
    return open_reader(cohorts.load(config.data), config.data)


@pytest.fixture(scope="module")
def encoder(make_config, reader):
    """An untrained backbone and its variables."""
    config = make_config()
    backbone = backbones.create(config.backbone.name)
    variables = jax.jit(lambda key: backbone.init(key, reader.spec(1)))(jax.random.key(0))
    return encoder_of(backbone, config), variables


def shuffled(reader, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(reader.cohort.score))[:n]


def telling(variables, batch):
    """An encoder whose embeddings say which row they are of."""
    return jnp.stack([batch.row, batch.patient, batch.row**2], axis=1).astype(jnp.float32)


def told(reader, rows: np.ndarray) -> np.ndarray:
    return np.stack([rows, reader.cohort.patient[rows], rows**2], axis=1).astype(np.float32)


def test_embeddings_are_those_of_a_plain_loop_in_the_order_asked_for(reader, encoder):
    encode, variables = encoder
    rows = shuffled(reader, 45)
    found = Embedder(encode, reader, make_mesh(), 16)(variables, rows)
    one = jax.jit(encode)
    expected = [one(variables, reader.read(rows[i : i + 1], np.ones(1, bool)))[0] for i in range(45)]
    assert found.dtype == np.float32
    assert found.shape == (45, len(expected[0]))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_neither_batch_size_nor_order_of_the_rows_changes_an_embedding(reader, encoder):
    encode, variables = encoder
    rows, order = shuffled(reader, 45), np.random.default_rng(1).permutation(45)
    found = Embedder(encode, reader, make_mesh(), 16)(variables, rows)
    again = Embedder(encode, reader, make_mesh(), 16)(variables, rows[order])
    small = Embedder(encode, reader, make_mesh(), 8)(variables, rows)
    np.testing.assert_allclose(again, found[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(small, found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 8, 9, 40, 71])
def test_results_under_way_do_not_mix_up(reader, n):
    """Batches of 8: none, one, and several more than are in flight at once, the last of them full or not."""
    rows = np.append(shuffled(reader, n - 1), 0)
    np.testing.assert_array_equal(Embedder(telling, reader, make_mesh(), 8)(None, rows), told(reader, rows))


def test_no_rows_have_the_width_of_any(reader, encoder):
    encode, variables = encoder
    empty = Embedder(encode, reader, make_mesh(), 8)(variables, np.zeros(0, np.int64))
    assert empty.dtype == np.float32
    assert empty.shape == (0, jax.eval_shape(encode, variables, reader.read(np.arange(1), np.ones(1, bool))).shape[1])


def test_few_batches_are_held_at_once(reader, monkeypatch):
    """On the device are the batch that computes, the next one, and no more than are in flight."""
    born, most = [], 0

    def counted(*args):
        nonlocal most
        for batch in placed(*args):
            born.append(weakref.ref(batch.scan))
            most = max(most, sum(one() is not None for one in born))
            yield batch

    placed = embed.on_device
    monkeypatch.setattr(embed, "on_device", counted)
    Embedder(telling, reader, make_mesh(), 8)(None, np.arange(len(reader.cohort.score)))
    assert len(born) == 9
    assert most <= 3


@pytest.mark.parametrize("by", [0, 1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_each_is_given_once_so_many_more_have_begun(n, by):
    begun = []

    def start():
        for i in range(n):
            begun.append(i)
            yield i

    ahead = [(i, len(begun)) for i in late(start(), by)]
    assert ahead == [(i, min(i + 1 + by, n)) for i in range(n)]


def test_parameters_that_are_cut_are_gathered_once_and_no_activation_moves(make_batch, make_config, monkeypatch):
    monkeypatch.setattr(placement, "SMALLEST", 64)
    backbone, mesh = backbones.create("videomae-test"), make_mesh(config=MeshConfig(fsdp=8))
    variables = jax.jit(backbone.init, static_argnums=1)(jax.random.key(0), BatchSpec(16, 2, 32, 32, 1))
    variables = jax.device_put(variables, placement.places(variables, mesh))
    batch = jax.tree.map(partial(to_global, mesh), make_batch(16, 0, (2, 32, 32, 1)))
    encode = encoder_of(backbone, make_config())
    exchanged = collectives(embed.jitted(encode, mesh).lower(variables, batch).compile().as_text())
    assert {one.kind for one in exchanged} == {"all-gather"}
    cut = [leaf.size for leaf in jax.tree.leaves(variables) if not leaf.is_fully_replicated]
    results = [16 * 32, 16]  # embeddings and mask, whole everywhere
    assert len(cut) > 7
    assert sorted(array.size for one in exchanged for array in one.arrays) == sorted(cut + results)
