"""ResNet over frames: the shift, the pool, the counts, the padding."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from learner_jax import backbones
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.layers.rows import rows_over
from learner_jax.backbones.layers.shift import convolve_shifted, temporal_shift
from learner_jax.batch import BatchSpec
from learner_jax.mesh import make_mesh

SPEC = BatchSpec(4, 4, 32, 32, 1)


@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
def test_the_shift_equals_its_definition_and_turns_nothing_around(device, frames):
    x = np.random.default_rng(0).normal(size=(2, frames, 3, 3, 19)).astype(np.float32)
    x[0, 0, 0, 0, -1] = np.inf  # which no other channel sees
    expected, past = x.copy(), x.copy()
    expected[:, :-1, ..., :2], expected[:, -1, ..., :2] = x[:, 1:, ..., :2], 0
    expected[:, 1:, ..., 2:4], expected[:, 0, ..., 2:4] = x[:, :-1, ..., 2:4], 0
    past[:, 1:, ..., :2], past[:, 0, ..., :2] = x[:, :-1, ..., :2], 0
    with tracing_for(device):
        np.testing.assert_array_equal(temporal_shift(jnp.asarray(x)), expected)
        np.testing.assert_array_equal(temporal_shift(jnp.asarray(x), "past"), past)
        np.testing.assert_array_equal(temporal_shift(jnp.asarray(x), "none"), x)


@pytest.mark.parametrize("fold", [8, 3])
@pytest.mark.parametrize("shift", ["both", "past", "none"])
def test_a_tpu_convolves_over_frames_what_is_the_convolution_of_the_shifted(shift, fold):
    rng = np.random.default_rng(0)
    conv = Conv(16, 6, (1, 1), nnx.Rngs(0), use_bias=True)
    x, slope = (jnp.asarray(rng.normal(size=(8, 5, 3, 2, c)), jnp.float32) for c in (16, 6))
    graph, state = nnx.split(conv)

    def both(convolved):
        def there_and_back(state, x):
            y, pull = jax.vjp(lambda state, x: convolved(nnx.merge(graph, state), x), state, x)
            return y, pull(slope)

        return jax.tree.leaves(jax.jit(there_and_back)(state, x))

    wanted = both(lambda conv, x: conv(temporal_shift(x, shift, fold)))
    for where in (contextlib.nullcontext(), rows_over(make_mesh())):
        with tracing_for("tpu"), where:
            found = both(lambda conv, x: convolve_shifted(conv, x, shift, fold))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(
    ("window", "stride", "padding"),
    [((1, 3, 3), (1, 2, 2), (0, 1, 1)), ((3, 3, 3), (2, 2, 2), (1, 1, 1)), ((2,) * 3, (2,) * 3, (0,) * 3)],
)
@pytest.mark.parametrize("device", ["cpu", "tpu"])
def test_the_pool_equals_the_window_reduction_and_its_gradient_goes_to_the_largest(
    size, window, stride, padding, device
):
    x = np.random.default_rng(0).normal(size=(2, 6, size, size, 3)).astype(np.float32)

    def there_and_back(x):
        y, pull = jax.vjp(lambda x: max_pool(x, window, stride, padding), x)
        return y, pull(jnp.ones_like(y))[0]

    with tracing_for(device):
        found, back = jax.jit(there_and_back)(x)
    padded = np.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)], constant_values=-np.inf)
    gradient, wanted = np.zeros_like(padded), np.zeros(found.shape, np.float32)
    for at in np.ndindex(found.shape):
        corner = [i * s for i, s in zip(at[1:4], stride, strict=True)]
        box = (at[0], *(slice(c, c + k) for c, k in zip(corner, window, strict=True)), at[4])
        wanted[at] = padded[box].max()
        gradient[box] += padded[box] == wanted[at]
    inside = tuple(slice(p, p + n) for p, n in zip((0, *padding, 0), x.shape, strict=True))
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(back, gradient[inside])


def test_time_reaches_the_embedding_only_through_the_shift():
    scan = jnp.asarray(np.random.default_rng(0).normal(size=SPEC.shape), jnp.float32)
    for kind, mixes in (("tsm", True), ("tsm_past", True), ("tsn", False)):
        backbone = backbones.create(f"{kind}_resnet18-test")
        variables = jax.jit(functools.partial(backbone.init, spec=SPEC))(jax.random.key(0))
        apply = jax.jit(functools.partial(backbone.apply, train=False))
        forward, _ = apply(variables, scan, jnp.ones(4, bool))
        backward, _ = apply(variables, scan[:, ::-1], jnp.ones(4, bool))
        assert (np.abs(forward - backward).max() > 1e-3) == mixes
