"""What holds for every backbone: shapes, counts, operations, names; and for the tiny ones also numbers."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from learner_jax import backbones
from learner_jax.backbones import flops
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.batch import BatchSpec
from tests.backbones.zoo import ROWS, TINY, one_of_each_family, parameter_tree
from tfds_builders.errors import InputError

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parents[2] / "docs" / "backbones.md"
LISTED = backbones.list_backbones()
TINY_SPEC = BatchSpec(4, 4, 32, 32, 1)
# of the last block only the class token is read, which is neither pooled nor at a place
_UNREAD = ("pool_q/conv/kernel", "rel_pos_t", "rel_pos_h", "rel_pos_w")
SILENT = {"mvitv2-test": {f"blocks/1/attn/{part}" for part in _UNREAD}}


def arguments(spec):
    return jax.ShapeDtypeStruct(spec.shape, jnp.float32), jax.ShapeDtypeStruct((spec.b,), jnp.bool_)


@functools.cache
def as_published(name):
    """Shapes of the variables for the scan that a backbone is made for."""
    return backbones.create(name).shapes(ROWS[name].spec)


@functools.cache
def trained(name):
    """The jaxpr of its training on that scan: seconds, hence once."""
    backbone, spec, variables = backbones.create(name), ROWS[name].spec, as_published(name)
    with tracing_for("any"):
        forward = jax.make_jaxpr(functools.partial(backbone.apply, train=True), return_shape=True)
        jaxpr, (u, stats) = forward(variables, *arguments(spec))
    assert u.shape == (spec.b, backbone.dim)
    assert u.dtype == jnp.float32
    assert jax.tree.structure(stats) == jax.tree.structure(variables["stats"])
    return jaxpr.jaxpr


def test_every_backbone_has_its_row():
    assert sorted(ROWS) == LISTED


@pytest.mark.parametrize("name", one_of_each_family(LISTED))
def test_every_backbone_embeds_the_scan_it_is_made_for(name):
    trained(name)


@pytest.mark.parametrize("name", one_of_each_family(LISTED))
def test_the_smallest_scan_that_is_said_to_fit_does_also_in_other_colours_and_with_group_norm(name):
    backbone = backbones.create(name, "group")
    least = [max(n, m) for n, m in zip(backbone.takes.least, backbone.takes.multiple, strict=True)]
    spec = BatchSpec(1, *least, 4 - ROWS[name].shape[3])

    def embed(scan, mask):  # built and run at once: half the time of init and apply
        return backbone.build(spec.shape[1:], nnx.Rngs(0))(scan, mask, train=True, rngs=None)

    backbone.check(spec)
    with tracing_for("tpu"):
        assert jax.eval_shape(embed, *arguments(spec)).shape == (1, backbone.dim)


@pytest.mark.parametrize("name", [name for name in LISTED if ROWS[name].parameters])
def test_parameters_are_as_many_as_published(name):
    assert sum(leaf.size for leaf in jax.tree.leaves(as_published(name)["params"])) == ROWS[name].parameters


@pytest.mark.parametrize("name", one_of_each_family([name for name in LISTED if ROWS[name].gflops]))
def test_operations_are_those_published(name):
    assert flops.count(trained(name)) / 1e9 == pytest.approx(ROWS[name].gflops, rel=0.02)


@pytest.mark.parametrize("name", LISTED)
def test_names_and_shapes_of_parameters_do_not_move(name):
    # a renamed parameter is a checkpoint that nobody can open; `python -m tests.backbones.golden` writes them anew
    assert parameter_tree(as_published(name)) == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", one_of_each_family(LISTED))
def test_the_docs_say_how_large_it_is(name):
    parameters = sum(leaf.size for leaf in jax.tree.leaves(as_published(name)["params"]))
    scan, dim = "x".join(map(str, ROWS[name].shape)), backbones.create(name).dim
    row = f"| `{name}` | {scan} | {dim} | {parameters:,} | {flops.count(trained(name)) / 1e9:,.1f} |"
    assert row in DOCS.read_text().splitlines()


@pytest.mark.parametrize("name", LISTED)
def test_a_scan_that_is_too_small_is_refused_with_what_fits(name):
    backbone = backbones.create(name)
    with pytest.raises(InputError, match=rf"{name} takes {backbone.takes}; the config gives 1 of 2x2.*data\.size"):
        backbone.check(BatchSpec(1, 1, 2, 2, 1))


@pytest.fixture(scope="module", params=one_of_each_family(TINY))
def tiny(request):
    backbone = backbones.create(request.param)
    variables = jax.jit(functools.partial(backbone.init, spec=TINY_SPEC))(jax.random.key(0))
    scan = jnp.asarray(np.random.default_rng(0).normal(size=TINY_SPEC.shape), jnp.float32)

    def loss(params, scan, mask):
        u, stats = backbone.apply({**variables, "params": params}, scan, mask, train=True)
        return jnp.where(mask[:, None], jnp.sin(u), 0.0).sum(), (u, stats)

    return request.param, variables, scan, jax.jit(jax.value_and_grad(loss, has_aux=True))


def test_a_step_of_a_tiny_one_reaches_every_parameter(tiny):
    name, variables, scan, step = tiny
    (_, (u, stats)), gradient = step(variables["params"], scan, jnp.ones(TINY_SPEC.b, bool))
    assert np.isfinite(u).all()
    assert np.ptp(u, axis=0).max() > 1e-4, "scans that differ have embeddings that differ"
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
    silent = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
        if not np.asarray(leaf).any()
    }
    assert silent == SILENT.get(name, set())
    assert jax.tree.structure(stats) == jax.tree.structure(variables["stats"])


def test_padding_changes_no_embedding_no_gradient_and_no_statistic_of_a_tiny_one(tiny):
    _, variables, scan, step = tiny
    mask = jnp.asarray([True, True, True, False])
    (_, (u, stats)), gradient = step(variables["params"], scan, mask)
    (_, (v, other)), same = step(variables["params"], scan.at[3].set(50.0), mask)
    np.testing.assert_array_equal(u[:3], v[:3])
    jax.tree.map(np.testing.assert_array_equal, stats, other)
    jax.tree.map(np.testing.assert_array_equal, gradient, same)
