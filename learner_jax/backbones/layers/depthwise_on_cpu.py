"""Depthwise convolution in a form that is fast on XLA's CPU backend: sums of shifted scans (``benchmarks.backbones``).

XLA has no fast grouped convolution on a CPU (one of 3x3x3 takes 100 times as long as its multiply-adds), and the
gradients that JAX derives from the sum are slow too. For 32 frames of 14x14 with 240 channels and a 5x5 kernel, the
forward pass takes 3.9 ms on one core, but the derived gradient of the scan, which pads before it adds, 12.2 ms, and
that of the kernel, which reduces along the vectors instead of across them, 41.4 ms. The forms below take 3.8 and 5.4 ms
(November 2026).
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from learner_jax.backbones.layers.stored import stored

Pads = tuple[tuple[int, int], ...]  # before and after each axis of space
Axes = tuple[int, ...]  # a number for each axis of space
_STRIP = 2**17  # numbers of a scan that fit into a core's cache (512 KiB in float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise(
    x: Float[Array, "n *space c"], kernel: Float[Array, "*window 1 c"], stride: Axes, pads: Pads
) -> Float[Array, "n *out c"]:
    """The sum, over the places of the kernel, of the shifted scan times that place's number for each channel."""
    return _shifted(x, kernel, stride, pads)


def _shifted(x: Array, kernel: Array, stride: Axes, pads: Pads) -> Array:
    # stored, as each place of the kernel would compute the norm and the activation before it again
    x = stored(jnp.pad(x, ((0, 0), *pads, (0, 0))))
    window = kernel.shape[:-2]
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:-1], window, stride, strict=True)]
    places = itertools.product(*map(range, window))
    terms = (x[_every(place, stride, out)] * kernel[place][0] for place in places)
    return stored(functools.reduce(jnp.add, terms))  # for the norm after it, which reads it several times


def _forward(x: Array, kernel: Array, stride: Axes, pads: Pads) -> tuple[Array, tuple[Array, Array]]:
    return _shifted(x, kernel, stride, pads), (x, kernel)


def _backward(stride: Axes, pads: Pads, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    of_scan = scan_gradient(g, kernel, x.shape[1:-1], stride, pads)
    if jax.device_count() > 1:  # a loop over pictures on several devices would first gather them all on each
        return of_scan, jax.vjp(lambda kernel: _shifted(x, kernel, stride, pads), kernel)[1](g)[0]
    return of_scan, kernel_gradient(x, g, kernel.shape[:-2], stride, pads)


depthwise.defvjp(_forward, _backward)


def scan_gradient(
    g: Float[Array, "n *out c"], kernel: Float[Array, "*window 1 c"], space: Axes, stride: Axes, pads: Pads
) -> Float[Array, "n *space c"]:
    """``sum over a of g[n, (i + p - a) / s, c] kernel[a, c]`` for each place i of the scan, where s divides.

    Places i with the same remainder by the stride meet the same places of the kernel. Each such phase is a sum of
    shifted gradients, and the phases are interleaved.
    """
    window, axes = kernel.shape[:-2], range(len(space))
    size = [-(-n // s) for n, s in zip(space, stride, strict=True)]
    # for each axis and phase: the places of the kernel, and how far each shifts the gradient
    meets = [
        [[(a, (phase + low - a) // s) for a in range(k) if (phase + low - a) % s == 0] for phase in range(s)]
        for k, s, (low, _) in zip(window, stride, pads, strict=True)
    ]
    shifts = [[shift for phase in axis for _, shift in phase] for axis in meets]
    before = [max(0, -min(axis)) for axis in shifts]
    after = [max(0, max(shifts[i]) + size[i] - g.shape[1 + i]) for i in axes]
    g = jnp.pad(g, ((0, 0), *zip(before, after, strict=True), (0, 0)))
    phases = []
    for phase in itertools.product(*meets):
        terms = []
        for place in itertools.product(*phase):
            start = [before[i] + shift for i, (_, shift) in enumerate(place)]
            terms.append(g[_every(start, (1,) * len(space), size)] * kernel[tuple(a for a, _ in place)][0])
        # a phase has no terms where the stride is longer than the kernel
        phases.append(functools.reduce(jnp.add, terms or [jnp.zeros((len(g), *size, g.shape[-1]), g.dtype)]))
    for i in reversed(axes):  # phases of the last axis are adjacent in the list
        s = stride[i]
        rows = [jnp.stack(phases[j : j + s], axis=2 + i) for j in range(0, len(phases), s)]
        phases = [row.reshape(*row.shape[: 1 + i], -1, *row.shape[3 + i :]) for row in rows]
    return phases[0][(slice(None), *map(slice, space))]


def kernel_gradient(
    x: Float[Array, "n *space c"], g: Float[Array, "n *out c"], window: Axes, stride: Axes, pads: Pads
) -> Float[Array, "*window 1 c"]:
    """``sum over n, i of x[n, i s + a, c] g[n, i, c]`` for each place a of the kernel, of two axes or three.

    It goes through strips of rows. There is one sum for each column of the kernel, over all rows of a strip; it keeps
    the strip's columns separate until the end, so that all additions are of whole vectors.
    """
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    *outer, height, width, c = g.shape[1:]
    *thick, high, wide = window
    down, right = stride[-2:]
    most = _STRIP // (math.prod(thick) * down * math.prod(x.shape[-2:]))
    rows = max(r for r in range(1, height + 1) if height % r == 0 and r <= max(1, most))

    def add(sums: list[Array], at: Array) -> tuple[list[Array], None]:
        picture, *frame, strip = jnp.unravel_index(at, (len(g), *outer, height // rows))
        first = [i * s for i, s in zip((*frame, strip * rows), stride, strict=False)]
        size = (1, *thick, (rows - 1) * down + high, *x.shape[-2:])
        near = jax.lax.dynamic_slice(x, (picture, *first, 0, 0), size)[0]
        size = (1, *(1 for _ in outer), rows, width, c)
        slope = jax.lax.dynamic_slice(g, (picture, *frame, strip * rows, 0, 0), size).reshape(rows, width, c)
        # without it, XLA fuses the slices into the sums, which are then no longer vectorised: ten times as slow
        near, slope = jax.lax.optimization_barrier((near, slope))
        shifted = [near[..., r * down : r * down + high, :, :] for r in range(rows)]
        end = right * (width - 1) + 1
        return [
            functools.reduce(jnp.add, (y[..., b : b + end : right, :] * slope[r] for r, y in enumerate(shifted)), total)
            for b, total in enumerate(sums)
        ], None

    nothing = [jnp.zeros((*thick, high, width, c), g.dtype)] * wide
    sums, _ = jax.lax.scan(add, nothing, jnp.arange(g[..., 0, 0, 0].size * (height // rows)))
    return jnp.stack(sums, -3).sum(-2).reshape(*window, 1, c)


def _every(start: tuple[int, ...] | list[int], stride: Axes, count: list[int]) -> tuple[slice, ...]:
    ends = (p + s * (m - 1) + 1 for p, s, m in zip(start, stride, count, strict=True))
    return (slice(None), *map(slice, start, ends, stride))
