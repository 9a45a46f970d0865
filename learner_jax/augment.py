"""Random augmentation on the device, inside the jitted step. Safe for ultrasound: depth keeps its direction.

Each scan draws its own numbers from a key made of (seed, step, cohort row), so they do not depend on the order of the
batch or the number of devices. Geometry is the same for all frames of a scan.
"""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int

from learner_jax.config import AugmentConfig


def augment(
    scan: Float[Array, "b t h w c"], rows: Int[Array, " b"], key: jax.Array, config: AugmentConfig
) -> Float[Array, "b t h w c"]:
    """Shift, zoom, rotate, maybe flip left to right, and change gain and contrast of each scan.

    Args:
      scan: intensities between 0 and 1.
      rows: cohort rows, the identity of the scans.
      key: of this step.
      config: how strong.

    Returns:
      Intensities between 0 and 1.
    """
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    return jax.vmap(lambda one, k: _augment_one(one, k, config))(scan, keys)


def _augment_one(scan: Float[Array, "t h w c"], key: jax.Array, config: AugmentConfig) -> Float[Array, "t h w c"]:
    draw = jax.random.uniform(key, (7,), minval=-1.0, maxval=1.0)
    scan = _warp(scan, draw[0:2] * config.shift, 1 + draw[2] * config.zoom, jnp.deg2rad(draw[3] * config.rotate))
    if config.flip:
        scan = jnp.where(draw[4] > 0, scan[:, :, ::-1], scan)
    black = scan <= 0.5 / 255  # outside the fan there is no tissue, and gain does not make any
    scan = jnp.clip(scan * (1 + draw[5] * config.contrast) + draw[6] * config.gain, 0, 1)
    return jnp.where(black, 0, scan)


def _warp(scan: Float[Array, "t h w c"], shift: Array, zoom: Array, angle: Array) -> Float[Array, "t h w c"]:
    """Bilinear similarity transform about the centre of the picture; what comes in from outside is 0."""
    _, h, w, _ = scan.shape
    y, x = jnp.meshgrid(jnp.linspace(-0.5, 0.5, h), jnp.linspace(-0.5, 0.5, w), indexing="ij")
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    back = (cos * y - sin * x) / zoom - shift[0], (sin * y + cos * x) / zoom - shift[1]
    at = [(back[0] + 0.5) * (h - 1), (back[1] + 0.5) * (w - 1)]
    frame = lambda plane: map_coordinates(plane, at, order=1, mode="constant")  # noqa: E731
    return jnp.moveaxis(jax.vmap(jax.vmap(frame))(jnp.moveaxis(scan, -1, 1)), 1, -1)
