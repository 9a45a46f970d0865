"""Batch: one place where shapes are defined, checked when it is made, invisible to JAX afterwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.batch import BatchSpec, draws, shapes_of
from learner_jax.mesh import batch_sharding, make_mesh, to_global


def test_shapes_are_checked_when_a_batch_is_made(make_batch):
    with pytest.raises(Exception, match="score"):
        make_batch(8, score=np.zeros(7, np.float32))
    with pytest.raises(Exception, match="mask"):
        make_batch(8, mask=np.ones(8, np.float32))


def test_jax_takes_it_apart_and_puts_it_together(make_batch):
    batch = make_batch(8)
    shapes = jax.eval_shape(lambda b: b, batch)
    assert shapes.scan.shape == (8, 1, 1, 1, 1)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(batch)]
    assert paths[:2] == [".scan", ".scale"]


def test_labeled_rows_are_real_and_carry_a_score(make_batch):
    batch = make_batch(3, score=np.array([1, np.nan, 2], np.float32), mask=np.array([True, True, False]))
    assert batch.labeled.tolist() == [True, False, False]


def test_a_batch_is_cut_over_the_devices_in_order(make_batch):
    mesh = make_mesh()
    rows = to_global(mesh, make_batch(16).row)
    assert len(rows.addressable_shards) == 8
    assert [int(shard.data[0]) for shard in rows.addressable_shards] == list(range(0, 16, 2))


def test_shapes_without_a_batch_are_those_of_a_batch_on_the_devices(make_batch):
    mesh = make_mesh()
    batch = to_global(mesh, make_batch(16, shape=(2, 8, 8, 1)))
    told = shapes_of(BatchSpec(16, 2, 8, 8, 1), np.uint8, batch_sharding(mesh))
    about = lambda x: (x.shape, x.dtype, x.sharding)  # noqa: E731
    assert jax.tree.map(about, told) == jax.tree.map(about, batch)


@pytest.mark.parametrize("seed", range(4))
def test_each_row_draws_by_its_scan_and_where_that_comes_again_by_its_place(seed):
    rows = np.random.default_rng(seed).integers(0, 20 * seed + 1, 24)
    seen, wanted = set(), []
    for place, row in enumerate(rows.tolist()):
        wanted.append(-place if row in seen else row)
        seen.add(row)
    assert draws(rows, np).tolist() == wanted
    assert draws(jnp.asarray(rows, jnp.int32), jnp).tolist() == wanted
    assert len(set(wanted)) == len(rows)
