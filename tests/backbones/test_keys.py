"""The keys that backbones draw: Flax's own, also under jit."""

import jax
import numpy as np
from flax import nnx

from learner_jax.backbones.api import _keys


def test_keys_are_those_that_flax_would_give():
    def draw(make):
        def drawn(key):
            rngs = make(params=key)
            return jax.random.key_data(jax.numpy.stack([rngs.params() for _ in range(4)]))

        return drawn

    key = jax.random.key(7)
    expected = draw(nnx.Rngs)(key)
    assert len({tuple(one) for one in np.asarray(expected).tolist()}) == 4
    np.testing.assert_array_equal(draw(_keys)(key), expected)
    np.testing.assert_array_equal(jax.jit(draw(_keys))(key), expected)
