"""Parameters cut over devices: as many bytes less on each, the same numbers, whole again on the host."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from learner_jax.config import MeshConfig
from learner_jax.mesh import make_mesh
from learner_jax.placement import describe, on_host, place, placed_shapes, places

SHAPES = {
    "kernel": (3, 3, 64, 128),
    "wide": (256, 128),
    "odd": (257, 131),  # nothing divides it
    "bias": (128,),
    "small": (64, 64),
    "step": (),
}


@pytest.fixture
def tree():
    rng = np.random.default_rng(0)
    return {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in SHAPES.items()}


def test_the_longest_axis_that_divides_is_cut_and_the_small_stay_whole(tree):
    mesh = make_mesh(config=MeshConfig(fsdp=4))
    found = {name: place(leaf, mesh).spec for name, leaf in tree.items()}
    assert found == {
        "kernel": P(None, None, None, "fsdp"),
        "wide": P("fsdp"),
        "odd": P(),
        "bias": P(),
        "small": P(),
        "step": P(),
    }
    assert {place(leaf, make_mesh()).spec for leaf in tree.values()} == {P()}
    assert describe(tree, mesh) == [
        "kernel 3x3x64x128/4 float32: 0.07 MiB a device",
        "wide 256/4x128 float32: 0.03 MiB a device",
    ]


@pytest.mark.parametrize("config", [MeshConfig(fsdp=8), MeshConfig(fsdp=2), MeshConfig(replica=2, fsdp=4)])
def test_each_device_holds_its_part_and_the_host_the_whole(tree, config):
    mesh = make_mesh(config=config)
    there = jax.device_put(tree, places(tree, mesh))
    shards = there["kernel"].addressable_shards
    assert {shard.data.size for shard in shards} == {tree["kernel"].size // config.fsdp}
    jax.tree.map(np.testing.assert_array_equal, on_host(there), on_host(tree))
    shapes = placed_shapes(tree, mesh)
    assert all(shapes[name].sharding == there[name].sharding for name in tree)
