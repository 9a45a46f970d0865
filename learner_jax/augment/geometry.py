"""Warps of a whole scan as passes along one axis, so that all frames of a clip move together.

A pass computes ``out[line, place] = scan[line, at[line, place]]`` along one axis, where the position is an affine
function of the place and of *one* other axis. Two passes make any affine map of a plane that turns by less than 45
degrees (Catmull and Smith, 1980, doi 10.1145/965105.807505), and planes after one another make an affine map of a
volume. Positions are then tables of ``[line place]`` and not of every voxel. Values between pixels come from the cubic
convolution of Keys (1981, doi 10.1109/TASSP.1981.1163711), which keeps more of the fine texture than linear weights.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Scan = Float[Array, "t h w c"]


def warp_plane(
    scan: Scan, matrix: Float[Array, "2 2"], offset: Float[Array, " 2"], axes: tuple[int, int] = (1, 2)
) -> Scan:
    """``out[p] = scan[matrix @ p + offset]`` in the plane of two axes, 0 outside.

    Args:
      scan: what is moved.
      matrix: from places in the result to places in the scan, in pixels from the plane's centre.
      offset: likewise, in pixels.
      axes: of the plane; the first pass goes along the first.
    """
    (a, b), (c, d) = matrix
    first, second = axes
    y, x = (jnp.arange(scan.shape[axis]) - (scan.shape[axis] - 1) / 2 for axis in axes)
    # x' = c y + d x is where the second pass looks; solved for x, the first pass knows it as its own line.
    rows = (a - b * c / d) * y + (b / d) * x[:, None] + (offset[0] - b / d * offset[1]) + (len(y) - 1) / 2
    columns = d * x + c * y[:, None] + offset[1] + (len(x) - 1) / 2
    return resample(resample(scan, rows, axis=first, along=second), columns, axis=second, along=first)


def warp_over(scan: Scan, within: Bool[Array, "h w"], matrix: Float[Array, "2 2"], offset: Float[Array, " 2"]) -> Scan:
    """As :func:`warp_plane` in rows and columns, of the pixels ``within`` alone; where none of them arrives, the scan
    shows what it showed before. So nothing is invented, and no black wedge tells that the scan was moved."""
    part = within[None, :, :, None].astype(scan.dtype)
    seen = jnp.where(within[:, :, None], scan, 0)  # not a product: it must not spread what is no number
    both = warp_plane(jnp.concatenate([seen, jnp.broadcast_to(part, (1, *scan.shape[1:]))]), matrix, offset)
    return both[:-1] + (1 - jnp.clip(both[-1], 0, 1)) * scan


def resample(scan: Scan, at: Float[Array, "line place"], axis: int, along: int) -> Scan:
    """One pass: values along ``axis`` at the positions ``at``, one row of them for each line along ``along``.

    On a CPU or GPU neighbours are gathered. A TPU has no fast gather, so there each line's interpolation is a matrix
    and the pass one batched product. Both give the same to rounding.
    """
    # Without the barrier XLA fuses the passes and computes each neighbour's neighbours again: 44 ms instead of 14.
    scan, at = jax.lax.optimization_barrier((scan, at))
    by = {"tpu": partial(by_product, axis=axis, along=along), "default": partial(by_gather, axis=axis, along=along)}
    return jax.lax.platform_dependent(scan, at, **by)


def by_gather(scan: Scan, at: Float[Array, "line place"], axis: int, along: int) -> Scan:
    """:func:`resample` as a weighted sum of four neighbours."""
    n = scan.shape[axis]
    below = jnp.floor(at)

    def spread(table: Array) -> Array:  # [line place] -> [t h w c] with ones elsewhere
        table = table if along < axis else table.T
        return jnp.expand_dims(table, tuple(i for i in range(4) if i not in (axis, along)))

    out = jnp.zeros_like(scan)
    for k in (-1, 0, 1, 2):
        index = below.astype(jnp.int32) + k
        weight = jnp.where((index >= 0) & (index < n), _keys(at - below - k), 0)
        value = jnp.take_along_axis(scan, spread(jnp.clip(index, 0, n - 1)), axis=axis, mode="promise_in_bounds")
        out += spread(weight) * value
    return out


def by_product(scan: Scan, at: Float[Array, "line place"], axis: int, along: int) -> Scan:
    """:func:`resample` as products with matrices ``[line place n]``."""
    weight = _keys(at[:, :, None] - jnp.arange(scan.shape[axis]))
    letters = "thwc"
    given, line = letters[axis], letters[along]
    product = f"thwc,{line}p{given}->{letters.replace(given, 'p')}"
    return jnp.einsum(product, scan, weight, precision=jax.lax.Precision.HIGHEST)


def rotation(angle: Float[Array, ""], gap: float = 1.0) -> Float[Array, "2 2"]:
    """Rotation by ``angle`` in radians of a plane whose pixels lie ``gap`` times as far apart along its first axis."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([[cos, -sin / gap], [sin * gap, cos]])


def _keys(distance: Array) -> Array:
    d = jnp.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((2.5 - 0.5 * d) * d - 4) * d + 2
    return jnp.where(d < 1, near, jnp.where(d < 2, far, 0))
