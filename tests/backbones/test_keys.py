"""Parameters are drawn with the keys that Flax would give, also under jit."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from learner_jax import backbones
from learner_jax.batch import BatchSpec

SPEC = BatchSpec(2, 4, 32, 32, 1)


@pytest.mark.parametrize("name", ["mvitv2-test", "tsm_resnet18-test"])
def test_a_backbone_is_born_as_its_module_would_be_by_itself(name):
    backbone, key = backbones.create(name), jax.random.key(7)
    params = jax.jit(functools.partial(backbone.init, spec=SPEC))(key)["params"]
    expected = nnx.to_pure_dict(nnx.state(backbone.build(SPEC.shape[1:], nnx.Rngs(params=key)), nnx.Param))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), params, expected)
    drawn = [leaf for leaf in jax.tree.leaves(params) if leaf.std() > 0 and leaf.size > 64]
    assert len({float(leaf.ravel()[0]) for leaf in drawn}) == len(drawn), "two parameters share a key"
