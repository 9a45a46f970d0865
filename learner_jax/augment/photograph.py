"""Photographs: small changes of geometry and light."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from learner_jax.augment.geometry import Scan, rotation, warp_over
from learner_jax.config import AugmentConfig


def augment(
    scan: Scan, key: jax.Array, side: Float[Array, ""], config: AugmentConfig, flips: bool = False, gap: float = 1.0
) -> Scan:
    """Flip; rotate, zoom and shift about the centre; change contrast and gain. Where nothing arrives, the scan stays.

    Args:
      scan: intensities between 0 and 1.
      key: random key of this scan in this step.
      side: -1 to flip left to right, else 1.
      config: strengths; 0 switches an operation off.
      flips: whether ``side`` can be -1 at all.
      gap: not used.
    """
    _, h, w, _ = scan.shape
    draw = jax.random.uniform(key, (6,), minval=-1, maxval=1)
    if flips:
        scan = jnp.where(side < 0, scan[:, :, ::-1], scan)
    if config.shift or config.zoom or config.rotate:
        matrix = rotation(jnp.deg2rad(draw[2] * config.rotate)) / (1 + config.zoom) ** draw[3]
        shift = draw[:2] * config.shift * jnp.array([h, w], jnp.float32)
        scan = warp_over(scan, jnp.ones((h, w), bool), matrix, shift)
    return jnp.clip(scan * (1 + draw[4] * config.contrast) + draw[5] * config.gain, 0, 1)
