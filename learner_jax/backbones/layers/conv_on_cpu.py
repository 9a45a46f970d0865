"""Convolution as XLA's CPU backend does it fast: the same numbers by other products, timed by ``benchmarks.backbones``.

XLA on a CPU convolves forward at the speed of its matrix products, but takes the gradient of the kernel as a
convolution with a kernel as large as the picture, at a third of it (64 channels of 28x28: 72 against 25 ms on one core,
November 2026). Depthwise ones are in :mod:`learner_jax.backbones.layers.depthwise_on_cpu`.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Pads = tuple[tuple[int, int], ...]
_CHUNK = 2**19  # numbers gathered at once: 2 MiB, which stay in the cache of a core


def definition(x: Array, kernel: Array, stride: tuple[int, ...], pads: Pads, groups: int = 1) -> Array:
    """``[n *space c] -> [n *space d]`` by ``lax.conv_general_dilated``: one, two or three axes of space."""
    space = "THW"[-len(stride) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=numbers, feature_group_count=groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv2d(
    x: Float[Array, "n h w c"], kernel: Float[Array, "kh kw c d"], stride: tuple[int, int], pads: Pads
) -> Float[Array, "n i j d"]:
    """The definition, with a gradient of the kernel by products of gathered pixels."""
    return definition(x, kernel, stride, pads)


def _forward(x: Array, kernel: Array, stride: tuple[int, int], pads: Pads) -> tuple[Array, tuple[Array, Array]]:
    return definition(x, kernel, stride, pads), (x, kernel)


def _backward(stride: tuple[int, int], pads: Pads, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    if jax.device_count() > 1:  # a loop over pictures that lie on several devices would first gather them all on each
        return jax.vjp(lambda x, kernel: definition(x, kernel, stride, pads), x, kernel)[1](g)
    _, pull = jax.vjp(lambda x: definition(x, kernel, stride, pads), x)
    return pull(g)[0], kernel_gradient(x, g, kernel.shape[:2], stride, pads)


conv2d.defvjp(_forward, _backward)


def kernel_gradient(
    x: Float[Array, "n h w c"],
    g: Float[Array, "n i j d"],
    window: tuple[int, int],
    stride: tuple[int, int],
    pads: Pads,
) -> Float[Array, "kh kw c d"]:
    """``sum over n, i, j of x[n, i s + a, j s + b, c] g[n, i, j, d]`` for each place (a, b) of the kernel.

    Some pictures, or some rows of one, at a time: their pixels are gathered as ``[places, kh kw c]``, and a product
    with ``g`` sums over the places.
    """
    (kh, kw), (sh, sw), (n, oh, ow, d), c = window, stride, g.shape, x.shape[-1]
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    size, chunk = ow * kh * kw * c, max(_CHUNK, kh * kw * c * d)
    rows = _divisor(oh, chunk // size)
    pictures = _divisor(n, chunk // (size * oh)) if rows == oh else 1
    blocks = oh // rows
    tall = (rows - 1) * sh + kh

    def add(total: Array, index: Array) -> tuple[Array, None]:
        picture, block = (index // blocks) * pictures, index % blocks
        part = jax.lax.dynamic_slice(x, (picture, block * rows * sh, 0, 0), (pictures, tall, x.shape[2], c))
        pixels = jnp.concatenate(
            [
                part[:, a : a + (rows - 1) * sh + 1 : sh, b : b + (ow - 1) * sw + 1 : sw]
                for a, b in itertools.product(range(kh), range(kw))
            ],
            axis=-1,
        )
        slope = jax.lax.dynamic_slice(g, (picture, block * rows, 0, 0), (pictures, rows, ow, d))
        slope, pixels = slope.reshape(-1, d), pixels.reshape(-1, kh * kw * c)
        # the narrower factor goes to the left: 103 against 44 GFLOP/s for 64 by 576
        product = slope.T @ pixels if d <= kh * kw * c else (pixels.T @ slope).T
        return total + product, None

    start = jnp.zeros((d, kh * kw * c), g.dtype)
    total, _ = jax.lax.scan(add, start, jnp.arange(n // pictures * blocks))
    return total.T.reshape(kh, kw, c, d)


def _divisor(n: int, most: int) -> int:
    """Largest divisor of ``n`` up to ``most``, at least 1."""
    return max(k for k in range(1, max(min(n, most), 1) + 1) if n % k == 0)
