"""MRI volumes ``[slices rows columns]``: other positions of the head, and effects of coil, sequence and noise."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from learner_jax.augment.geometry import Scan, rotation, warp_plane
from learner_jax.augment.random_fields import polar_noise, spline_basis
from learner_jax.config import AugmentConfig

_BLACK = 0.5 / 255  # half a grey level: air below the builder's window, padding, what skull-stripping removed
_BIAS_KNOTS = 4
_GHOSTS = 2, 3, 4


def augment(
    scan: Scan, key: jax.Array, side: Float[Array, ""], config: AugmentConfig, flips: bool = False, gap: float = 1.0
) -> Scan:
    """Move the head; change shading, contrast and noise. Only a ghost puts anything where the scan is black.

    Args:
      scan: intensities between 0 and 1; slices from inferior to superior, rows from anterior to posterior, columns
        from left to right.
      key: random key of this scan in this step.
      side: -1 to exchange left and right, else 1.
      config: strengths; 0 switches an operation off.
      flips: whether ``side`` can be -1 at all.
      gap: distance between slices, in pixels of a slice.
    """
    move, shade, exponent, noise, ghosts = jax.random.split(key, 5)
    if config.shift or config.zoom or config.rotate or config.tilt or flips:
        scan = moved(scan, *draw_move(move, scan.shape, config), side, gap)
    if config.bias:
        scan = scan * bias_field(shade, scan.shape[:3], config.bias)[..., None]
    scan = jnp.clip(scan, 0, 1)
    if config.gamma:
        scan = scan ** jnp.exp(config.gamma * jax.random.uniform(exponent, minval=-1, maxval=1))
    if config.ghost:
        scan = jnp.clip(ghosted(scan, *draw_ghost(ghosts, config.ghost)), 0, 1)
    if config.noise:
        scan = noisy(scan, noise, config.noise)
    return scan


def draw_move(
    key: jax.Array, shape: tuple[int, ...], config: AugmentConfig
) -> tuple[Float[Array, " 3"], Float[Array, " 3"], Float[Array, " 3"]]:
    """Shift in pixels, zoom along the three axes, and angles in radians in the planes (h w), (t h) and (t w)."""
    shift, zoom, angle = jax.random.uniform(key, (3, 3), minval=-1, maxval=1)
    largest = jnp.deg2rad(jnp.array([config.rotate, config.tilt, config.tilt]))
    return shift * config.shift * jnp.array(shape[:3], jnp.float32), (1 + config.zoom) ** zoom, angle * largest


def moved(
    scan: Scan,
    shift: Float[Array, " 3"],
    zoom: Float[Array, " 3"],
    angle: Float[Array, " 3"],
    side: Float[Array, ""],
    gap: float,
) -> Scan:
    """An affine map in three axes about the middle of the volume: place ``q`` shows ``R_hw R_th R_tw D q - shift`` of
    the scan, where ``D`` scales by ``side / zoom``. What enters from outside the field of view is black.

    A volume without depth (``t = 1``) moves only in its plane.
    """
    turn = rotation(angle[0]) / zoom[1] if len(scan) == 1 else rotation(angle[0])
    scan = warp_plane(scan, turn, -shift[1:], axes=(1, 2))
    if len(scan) == 1:
        across = jnp.diag(jnp.stack([jnp.ones(()), side]))
        return warp_plane(scan, across, jnp.zeros(2), axes=(1, 2))
    nod = rotation(angle[1], gap) @ jnp.diag(jnp.stack([jnp.ones(()), 1 / zoom[1]]))
    scan = warp_plane(scan, nod, jnp.stack([-shift[0], jnp.zeros(())]), axes=(0, 1))
    lean = rotation(angle[2], gap) @ jnp.diag(jnp.stack([1 / zoom[0], side / zoom[2]]))
    return warp_plane(scan, lean, jnp.zeros(2), axes=(0, 2))


def bias_field(key: jax.Array, shape: tuple[int, int, int], strength: float) -> Float[Array, "t h w"]:
    """A factor for each voxel, between ``exp(-strength)`` and ``exp(strength)``.

    It is the exponential of a cubic B-spline with 4 x 4 x 4 coefficients, the model of N4 (Tustison et al. 2010, doi
    10.1109/TMI.2010.2046908).
    """
    knots = strength * jax.random.uniform(key, (_BIAS_KNOTS,) * 3, minval=-1, maxval=1)
    for n in shape:  # each pass rotates the axes by one
        knots = jnp.tensordot(knots, spline_basis(n, _BIAS_KNOTS), axes=(0, 1))
    return jnp.exp(knots)


def noisy(scan: Scan, key: jax.Array, strength: float) -> Scan:
    """Rician noise: the magnitude of the scan plus complex Gaussian noise of an SD up to ``strength`` in each part.

    Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618. Black stays black, as the builder's window cuts noise off
    there too.
    """
    strong, points = jax.random.split(key)
    sd = strength * jax.random.uniform(strong)
    radius, angle = polar_noise(points, scan.shape)
    radius *= sd
    # |scan + radius e^(i angle)|² without computing the imaginary part
    power = scan**2 + radius * (2 * scan * jnp.cos(angle) + radius)  # can be below 0 by rounding
    return jnp.where(scan <= _BLACK, scan, jnp.sqrt(power.clip(0, 1)))


def draw_ghost(key: jax.Array, strength: float) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """How many copies of the head appear (2, 3 or 4, counting the head), and how much their k-space lines lose."""
    number, part = jax.random.split(key)
    return jax.random.choice(number, jnp.array(_GHOSTS, jnp.float32)), strength * jax.random.uniform(part)


def ghosted(scan: Scan, number: Float[Array, ""], part: Float[Array, ""]) -> Scan:
    """Attenuate every ``number``-th line of k-space along the rows by ``part``, except the central one.

    Attenuating regular lines is a convolution, so going to k-space and back is one product with a circulant matrix.
    Copies of the head appear ``h / number`` rows apart. Rows are the usual direction of phase encoding.
    """
    h = scan.shape[1]
    line = jnp.fft.fftfreq(h, 1 / h)
    kept = 1 - part * ((jnp.mod(line, number) == 0) & (line != 0))
    place = jnp.arange(h)
    response = jnp.cos(2 * jnp.pi * ((place[:, None] * place) % h) / h) @ kept / h
    circulant = response[(place[:, None] - place) % h]
    return jnp.abs(jnp.einsum("ph,thwc->tpwc", circulant, scan, precision=jax.lax.Precision.HIGHEST))
