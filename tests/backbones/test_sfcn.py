"""SFCN with group norm: of a last map of one voxel, a group of two channels would only say which is larger."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.batch import BatchSpec
from tfds_builders.errors import InputError


@pytest.mark.parametrize("size", [(32, 32, 32), (64, 64, 63)])
def test_group_norm_needs_more_than_a_voxel_in_the_last_map(size):
    spec = BatchSpec(1, *size, 1)
    backbones.create("sfcn", "batch").check(spec)
    with pytest.raises(InputError, match="sfcn takes at least 1 frame of 64x64; the config gives"):
        backbones.create("sfcn", "group").check(spec)
    backbones.create("sfcn-test", "group").check(BatchSpec(1, 32, 32, 32, 1))  # its last map has 8 voxels a side


def test_at_that_size_embeddings_are_no_longer_one_of_two_values():
    backbone, spec = backbones.create("sfcn", "group"), BatchSpec(2, 4, 64, 64, 1)
    variables = jax.jit(functools.partial(backbone.init, spec=spec))(jax.random.key(0))
    scan = jnp.asarray(np.random.default_rng(0).normal(size=spec.shape), jnp.float32)
    u = jax.jit(functools.partial(backbone.apply, train=True))(variables, scan, jnp.ones(2, bool))[0]
    assert np.mean((np.asarray(u) > 0.05) & (np.asarray(u) < 0.95)) > 0.5  # at 32x32x32: 0.01
