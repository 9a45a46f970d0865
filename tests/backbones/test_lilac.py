"""The places of LILAC's embedding."""

import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.backbones.lilac import places


@pytest.mark.parametrize("size", [(8, 8, 8), (16, 9, 3), (1, 5, 20)])
def test_places_are_the_means_of_their_ranges(size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = np.zeros((2, 8, 8, 8, 3))
    for place in np.ndindex(8, 8, 8):
        # the voxels of which any part lies in [i n / 8, (i + 1) n / 8)
        ranges = [
            [v for v in range(n) if 8 * v < (i + 1) * n and 8 * (v + 1) > i * n]
            for i, n in zip(place, size, strict=True)
        ]
        expected[(slice(None), *place)] = x[(slice(None), *np.ix_(*ranges))].mean((1, 2, 3))
    np.testing.assert_allclose(places(jnp.asarray(x), 8), expected, atol=1e-6)
