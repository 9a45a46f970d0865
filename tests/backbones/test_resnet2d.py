"""ResNet over frames: the shift, the pool, the counts, the padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones.resnet2d import max_pool, temporal_shift
from learner_jax.batch import BatchSpec
from tfds_builders.errors import InputError

SPEC = BatchSpec(4, 4, 32, 32, 1)


@pytest.fixture(scope="module")
def tiny():
    backbone = backbones.create("tsm_resnet18_test")
    return backbone, jax.jit(functools.partial(backbone.init, spec=SPEC))(jax.random.key(0))


def test_the_shift_equals_its_definition_and_turns_nothing_around():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 3, 16)).astype(np.float32)
    expected = x.copy()
    expected[:, :-1, ..., :2], expected[:, -1, ..., :2] = x[:, 1:, ..., :2], 0
    expected[:, 1:, ..., 2:4], expected[:, 0, ..., 2:4] = x[:, :-1, ..., 2:4], 0
    np.testing.assert_array_equal(temporal_shift(jnp.asarray(x)), expected)


@pytest.mark.parametrize("size", [7, 8])
def test_the_pool_equals_the_window_reduction(size):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, size, size, 4)), jnp.float32)
    window = (1, 1, 3, 3, 1), (1, 1, 2, 2, 1), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
    expected = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *window)
    np.testing.assert_array_equal(max_pool(max_pool(x, 2), 3), expected)


@pytest.mark.parametrize("name", backbones.list_backbones())
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_variant_embeds(name, norm):
    backbone = backbones.create(name, norm)
    spec = BatchSpec(2, 8, 64, 64, 3)
    variables = jax.eval_shape(functools.partial(backbone.init, spec=spec), jax.random.key(0))
    scan, mask = jax.ShapeDtypeStruct(spec.shape, jnp.float32), jax.ShapeDtypeStruct((2,), jnp.bool_)
    u, stats = jax.eval_shape(functools.partial(backbone.apply, train=True), variables, scan, mask)
    assert u.shape == (2, backbone.dim)
    assert jax.tree.structure(stats) == jax.tree.structure(variables["stats"])


def test_parameters_and_flops_are_those_of_resnet18():
    backbone = backbones.create("tsn_resnet18")
    spec = BatchSpec(1, 1, 224, 224, 3)
    params = jax.eval_shape(functools.partial(backbone.init, spec=spec), jax.random.key(0))["params"]
    # torchvision's resnet18 without its 513,000 classifier weights; 1.814 G multiply-adds less 0.5 M
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 11_689_512 - 513_000
    assert backbone.flops(spec) == pytest.approx(2 * 1.8136e9, rel=1e-3)


def test_names_of_parameters_do_not_move(tiny):
    # a renamed parameter is a checkpoint that nobody can open
    paths = [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_leaves_with_path(tiny[1])
    ]
    blocks = {
        f"layer{i}_0.{leaf}"
        for i in (1, 2)
        for leaf in ("conv1.kernel", "conv2.kernel", "norm1.bias", "norm1.scale", "norm2.bias", "norm2.scale")
    }
    shortcut = {"layer2_0.conv0.kernel", "layer2_0.norm0.bias", "layer2_0.norm0.scale"}
    stem = {"conv1.kernel", "norm1.bias", "norm1.scale"}
    assert {path for path in paths if path.startswith("params.")} == {
        f"params.{name}" for name in blocks | shortcut | stem
    }


def test_padding_changes_no_embedding_and_no_statistic(tiny):
    backbone, variables = tiny
    scan = jnp.asarray(np.random.default_rng(0).normal(size=SPEC.shape), jnp.float32)
    mask = jnp.asarray([True, True, True, False])
    apply = jax.jit(functools.partial(backbone.apply, train=True))
    u, stats = apply(variables, scan, mask)
    v, other = apply(variables, scan.at[3].set(50.0), mask)
    np.testing.assert_array_equal(u[:3], v[:3])
    jax.tree.map(np.testing.assert_array_equal, stats, other)


def test_time_reaches_the_embedding_only_through_the_shift():
    scan = jnp.asarray(np.random.default_rng(0).normal(size=SPEC.shape), jnp.float32)
    for shift in (True, False):
        backbone = backbones.create("tsm_resnet18_test")
        backbone.build.keywords["shift"] = shift
        variables = jax.jit(functools.partial(backbone.init, spec=SPEC))(jax.random.key(0))
        apply = jax.jit(functools.partial(backbone.apply, train=False))
        forward, _ = apply(variables, scan, jnp.ones(4, bool))
        backward, _ = apply(variables, scan[:, ::-1], jnp.ones(4, bool))
        assert (np.abs(forward - backward).max() > 1e-3) == shift


def test_a_scan_that_is_too_small_is_refused():
    with pytest.raises(InputError, match=r"takes at least 1 frames of 32x32; the config gives 4 of 16x16"):
        backbones.create("tsm_resnet18").check(BatchSpec(1, 4, 16, 16, 1))
