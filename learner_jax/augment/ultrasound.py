"""Ultrasound clips: what another operator, another probe position and other settings would have shown.

Depth keeps its direction, so there is no vertical flip. The picture moves *inside the fan*, whose outline stays in
place: it belongs to the scanner, not to the patient.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from learner_jax.augment.geometry import Scan, rotation, warp_over
from learner_jax.augment.random_fields import grain_basis, polar_noise, spline_basis
from learner_jax.config import AugmentConfig

_BLACK = 4.5 / 255  # in clips of POCUS and COVID-BLUES, H.264 leaves 1 to 4 grey levels outside the fan
_EDGE = 2  # pixels along the fan's outline, darkened by resizing and video compression
_TGC_SLIDERS = 6
_FADE = 0.3
_MEAN, _SD = math.sqrt(math.pi / 2), math.sqrt(2 - math.pi / 2)  # of the Rayleigh distribution
_GRAIN = 2, 3  # pixels in depth and across: a scanner resolves better in depth


def augment(
    scan: Scan, key: jax.Array, side: Float[Array, ""], config: AugmentConfig, flips: bool = False, gap: float = 1.0
) -> Scan:
    """Flip, move, amplify and speckle a clip, and drop frames.

    Args:
      scan: intensities between 0 and 1.
      key: random key of this scan in this step.
      side: -1 to flip left to right, else 1.
      config: strengths; 0 switches an operation off.
      flips: whether ``side`` can be -1 at all.
      gap: not used, as frames are moments in time.
    """
    move, amplify, grain, drop = jax.random.split(key, 4)
    if flips:  # the whole picture including the fan, like the scanner's own flip button
        scan = jnp.where(side < 0, scan[:, :, ::-1], scan)
    if config.shift or config.rotate or config.zoom:
        scan = move_inside_fan(scan, *draw_move(move, scan.shape, config))
    if config.gain or config.contrast or config.tgc:
        scan = amplified(scan, amplify, config)
    if config.speckle:
        scan = scan * speckle(grain, scan.shape[:3], config.speckle)[..., None]
    scan = jnp.clip(scan, 0, 1)
    if config.drop_frames:
        scan = scan[held_frames(drop, len(scan), config.drop_frames)]
    return scan


def fan_of(scan: Scan) -> Bool[Array, "h w"]:
    """The fan: pixels between others that are lit in some frame, both within their row and within their column.

    So it includes dark tissue inside, but not the dark area above the arc of a convex probe.
    """
    lit = ~(scan.max((0, 3)) <= _BLACK)  # NaN counts as lit, so that the step sees it
    row, column = jnp.indices(lit.shape)
    inside = jnp.ones(lit.shape, bool)
    for place, axis in ((row, 0), (column, 1)):
        first = jnp.where(lit, place, lit.size).min(axis, keepdims=True)
        last = jnp.where(lit, place, -1).max(axis, keepdims=True)
        inside &= (first <= place) & (place <= last)
    return inside


def draw_move(
    key: jax.Array, shape: tuple[int, ...], config: AugmentConfig
) -> tuple[Float[Array, " 2"], Float[Array, ""], Float[Array, ""]]:
    """Shift in pixels (down, right), zoom (above 1: less depth is seen), and angle in radians."""
    draw = jax.random.uniform(key, (4,), minval=-1, maxval=1)
    shift = draw[:2] * config.shift * jnp.array(shape[1:3], jnp.float32)
    return shift, (1 + config.zoom) ** draw[2], jnp.deg2rad(draw[3] * config.rotate)


def move_inside_fan(scan: Scan, shift: Float[Array, " 2"], zoom: Float[Array, ""], angle: Float[Array, ""]) -> Scan:
    """Zoom about the middle of the probe's face, rotate about the fan's centre, then shift; all in one warp.

    The scan stays as it is outside the fan and, inside, where no content of the fan arrives: so the layers under the
    probe's face stay there. The outermost pixels of the fan do not move.
    """
    _, h, w, _ = scan.shape
    fan = fan_of(scan)
    row, column = jnp.indices(fan.shape)
    top, bottom = jnp.where(fan, row, h).min(), jnp.where(fan, row, -1).max()
    left, right = jnp.where(fan, column, w).min(), jnp.where(fan, column, -1).max()
    centre = jnp.stack([top + bottom - (h - 1), left + right - (w - 1)]) / 2  # from the middle of the picture
    # p = centre + shift + R (zoom (q - face) + face) maps a place q in the scan, relative to the centre, to the place p
    # where it appears; face is the middle of the probe's face and R the rotation. Solved for q:
    face = jnp.stack([(top - bottom) / 2, jnp.zeros(())])
    matrix = rotation(-angle) / zoom
    moved = warp_over(scan, _eroded(fan), matrix, centre + face - face / zoom - matrix @ (centre + shift))
    return jnp.where(fan[:, :, None], moved, scan)


def _eroded(fan: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    size = 2 * _EDGE + 1
    wider = jnp.pad(fan, _EDGE, mode="edge")  # where the picture's border cuts the fan, that is not its edge
    return jax.lax.reduce_window(wider, True, jax.lax.bitwise_and, (size, size), (1, 1), "VALID")


def amplified(scan: Scan, key: jax.Array, config: AugmentConfig) -> Scan:
    """``scan * (1 + contrast) + gain + tgc(depth)``, each drawn up to its strength in the config.

    The picture is the logarithm of the echo, so gain adds and dynamic range multiplies. ``tgc`` is a smooth curve over
    depth, like one set by the sliders of time gain compensation. What is added fades out below 0.3 of the intensity
    range: black stays black, faint noise does not jump, and a dark clip (the median of COVID-BLUES is 0.08) survives.
    """
    contrast, gain, *sliders = jax.random.uniform(key, (2 + _TGC_SLIDERS,), minval=-1, maxval=1)
    curve = gain * config.gain + config.tgc * (spline_basis(scan.shape[1], _TGC_SLIDERS) @ jnp.stack(sliders))
    return scan * (1 + contrast * config.contrast) + curve[:, None, None] * jnp.minimum(scan / _FADE, 1)


def speckle(key: jax.Array, shape: tuple[int, int, int], strength: float) -> Float[Array, "t h w"]:
    """A factor for each pixel, of mean 1 and an SD up to ``strength``.

    It is linear in the magnitude of a complex Gaussian field with a grain of 2 x 3 pixels: fully developed, Rayleigh
    distributed speckle (Wagner et al. 1983, doi 10.1109/T-SU.1983.31404). It is independent between frames, which are
    at least 0.1 s apart: speckle changes as soon as tissue moves by a grain.
    """
    strong, noise = jax.random.split(key)
    t, h, w = shape
    rows, columns = grain_basis(h, _GRAIN[0]), grain_basis(w, _GRAIN[1])
    radius, angle = polar_noise(noise, (t, rows.shape[1], columns.shape[1]))
    parts = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)])
    parts = jnp.einsum("ptij,hi->pthj", parts, rows)
    real, imaginary = jnp.einsum("pthj,wj->pthw", parts, columns)
    magnitude = jnp.sqrt(real**2 + imaginary**2)
    return 1 + strength * jax.random.uniform(strong) * (magnitude - _MEAN) / _SD


def held_frames(key: jax.Array, t: int, rate: float) -> Array:
    """Which frame to show at each time, i32 ``[t]``.

    A frame is dropped with probability ``rate`` and replaced by the last one before it that was kept. The first frame
    is always kept.
    """
    kept = ~jax.random.bernoulli(key, rate, (t,))
    return jax.lax.cummax(jnp.where(kept, jnp.arange(t), 0))
