"""What the backward pass computes again: the inside of every block of every family, and memory is what it saves."""

import functools
import re

import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.backbones.layers.remat import remat
from learner_jax.batch import BatchSpec
from tests.backbones.zoo import TINY, one_of_each_family

BLOCK = re.compile(r"(.*?(?:layer\d|stage\d|blocks|features|fuse)(?:/\d+)+|denseblock\d)/")


def gradient(backbone, spec):
    """``(variables, scan) -> (gradient, statistics)`` and the shapes of both."""

    def loss(params, stats, scan):
        variables = {"params": params, "stats": stats}
        u, stats = backbone.apply(variables, scan, jnp.ones(spec.b, bool), train=True)
        return jnp.square(u).mean(), stats

    shapes = backbone.shapes(spec)
    scan = jax.ShapeDtypeStruct(spec.shape, jnp.float32)
    return jax.grad(loss, has_aux=True), (shapes["params"], shapes["stats"], scan)


@pytest.mark.parametrize("name", one_of_each_family(TINY))
def test_every_block_that_the_parameters_are_named_for_is_computed_again(name):
    backbone, spec = backbones.create(name), BatchSpec(2, 4, 32, 32, 1)
    shapes = backbone.shapes(spec)
    given = (shapes, jax.ShapeDtypeStruct(spec.shape, jnp.float32), jax.ShapeDtypeStruct((spec.b,), jnp.bool_))
    regions = []
    for policy in ("none", "blocks", "dots"):
        with remat(policy):
            text = str(jax.make_jaxpr(functools.partial(backbone.apply, train=True))(*given))
        regions.append(len(re.findall(r"= (?:remat|checkpoint)\w*\[", text)))
    blocks = {found[1] for path in flatten_dict(shapes["params"], sep="/") if (found := BLOCK.match(path))}
    assert regions == [0, len(blocks), len(blocks)]
    assert blocks


def test_it_saves_memory():
    """Of 12 blocks one at a time is held; without the compiler options of a CPU, XLA would undo it there."""
    function, shapes = gradient(backbones.create("vit_s16"), BatchSpec(4, 4, 64, 64, 1))
    sizes = {}
    for policy in ("none", "blocks", "dots"):
        with remat(policy):
            lowered = jax.jit(lambda *args: function(*args)).lower(*shapes)
        program = lowered.compile(compiler_options())
        sizes[policy] = program.memory_analysis().temp_size_in_bytes
    assert sizes["blocks"] < 0.3 * sizes["none"]
    assert sizes["dots"] < 0.6 * sizes["none"]
