"""Cheap random fields: smooth ones from a few coefficients, and Gaussian ones from one random word per point."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@functools.cache
def spline_basis(n: int, knots: int) -> np.ndarray:
    """Values f32 ``[n knots]`` of uniform cubic B-splines at ``n`` evenly spaced places; rows sum to 1.

    A curve ``basis @ coefficients`` is twice differentiable and stays between its smallest and largest coefficient.
    """
    d = np.abs(np.linspace(1, knots - 2, n)[:, None] - np.arange(knots))
    near, far = 2 / 3 - d * d + d**3 / 2, (2 - d) ** 3 / 6
    return np.where(d < 1, near, np.where(d < 2, far, 0)).astype(np.float32)


@functools.cache
def grain_basis(n: int, cell: int) -> np.ndarray:
    """Weights f32 ``[n, ceil(n / cell) + 1]`` of points ``cell`` pixels apart; the squares of each row sum to 1.

    They turn white noise of variance 1 at the points into noise of variance 1 with a grain of about ``cell`` pixels.
    """
    knots = -(-n // cell) + 3
    basis = spline_basis((knots - 3) * cell + 1, knots)[:n]
    return (basis / np.sqrt((basis**2).sum(1, keepdims=True))).astype(np.float32)


def polar_noise(key: jax.Array, shape: tuple[int, ...]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Radius and angle of a complex Gaussian of variance 1 in each part, from one 32-bit word per point.

    Box and Muller (1958, doi 10.1214/aoms/1177706645) with 16 bits for each, so the radius is at most 4.85.
    """
    word = jax.random.bits(key, shape)
    radius = jnp.sqrt(-2 * jnp.log(((word >> 16).astype(jnp.float32) + 0.5) / 65536))
    return radius, (word & 0xFFFF).astype(jnp.float32) * (2 * math.pi / 65536)
