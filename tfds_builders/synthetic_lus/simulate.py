"""The pixels of one lung ultrasound clip, from severity, patient, zone and acquisition.

Echo powers are summed on scan lines (depth by lateral position), multiplied by speckle, converted to decibels, mapped
to the probe's geometry and shown with the gain that an operator would set. Severity affects only what it changes in a
real lung: the pleural line, A-lines, B-lines and sliding. It does not affect the mean brightness.
"""

import functools

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from tfds_builders.simulated_cohort import Row, stream
from tfds_builders.synthetic_lus.anatomy import (
    Acquisition,
    Identity,
    Zone,
    acquisition_of,
    identity_of,
    zone_of,
)
from tfds_builders.synthetic_lus.cohort_model import VIEWS, Knobs, cohort_rows

__all__ = ["FRAME_SECONDS", "Knobs", "Row", "cohort_rows", "render"]

FRAME_SECONDS = 0.12  # 8 frames are 40 % of a breath: enough to see the lung slide, in few frames
BREATH_SECONDS = 2.5
LOOKS = 2  # spatial compounding by the scanner: speckle is averaged over two pictures from different angles


def render(row: Row, knobs: Knobs) -> np.ndarray:
    """Render one clip, uint8 ``[frames size size 1]``; 0 outside the fan.

    A pure function of the knobs, of the row's patient, visit, view and clip, and of ``row.severity``: it does not
    depend on the process or the order of calls.
    """
    identity, zone = _anatomy(knobs, row.patient, row.view)
    acquisition = acquisition_of(knobs, row)
    rng = stream(knobs, "speckle", row.patient, row.visit, VIEWS.index(row.view), row.clip)
    severity = row.severity + zone.offset
    lines = round(1.5 * knobs.size), knobs.size  # the finest echoes are thinner in depth than across
    echo, below, slide = _echoes(severity, identity, zone, acquisition, knobs.frames, lines)
    power = echo * _speckle(rng, below, slide, severity, identity)
    return _shown(10 * np.log10(power + 1e-9), identity, acquisition, knobs)


@functools.lru_cache(maxsize=64)
def _anatomy(knobs: Knobs, patient: int, view: str) -> tuple[Identity, Zone]:
    return identity_of(knobs, patient), zone_of(knobs, patient, view)


def _echoes(
    severity: float, identity: Identity, zone: Zone, acquisition: Acquisition, frames: int, lines: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean echo power ``[t r u]``, how far each place is lung ``[t r u]`` (0 to 1), pleural sliding ``[t]`` in u."""
    involved = expit(1.1 * severity)
    r = np.linspace(0, 1, lines[0], dtype=np.float32)[None, :, None]
    u = np.linspace(-1, 1, lines[1], dtype=np.float32)[None, None, :] + np.float32(acquisition.shift)
    breath = acquisition.phase + 2 * np.pi * np.arange(frames) * FRAME_SECONDS / BREATH_SECONDS
    slide = 0.16 * (1 - 0.8 * involved) * np.sin(breath)
    moved = (u - slide[:, None, None]).astype(np.float32)  # [t 1 u]: places that travel with the pleura

    depth = identity.pleura_depth * acquisition.depth_factor + 0.006 * np.sin(breath)[:, None, None]
    depth = depth + (zone.tilt + acquisition.tilt) * u + zone.bend * u**2
    depth = (depth + 0.007 * involved * _pattern(zone.waves, moved, 5.0)).astype(np.float32)
    below = expit((r - depth) / 0.008)
    shadow = _rib_shadow(r, u, zone, depth)

    whole = 1 - 0.9 * involved * expit(4 * (_pattern(zone.breaks, moved, 4.0) + 2.5 * involved - 1.8))
    thick = 0.008 + 0.008 * involved
    pleura = _power(identity.pleura_db) * whole * np.exp(-(((r - depth) / thick) ** 2))

    b_lines = _b_lines(severity, involved, moved, breath, zone, identity, acquisition)
    ring_down = below * np.exp(-1.5 * (r - depth).clip(0))
    a_lines = sum(0.5**k * np.exp(-(((r - (k + 1) * depth) / (0.009 + 0.003 * k)) ** 2)) for k in range(1, 4))
    a_lines = (
        _power(identity.a_line_db + acquisition.a_line_db) * (1 - involved) ** 2 * a_lines * whole / (1 + 4 * b_lines)
    )
    haze = _power(identity.haze_db) * np.exp(-2.0 * (r - depth).clip(0))

    wall = _power(identity.wall_db) * _layers(zone.layers, r / depth, u)
    lung = _power(acquisition.coupling_db) * (pleura + a_lines + b_lines * ring_down + haze * below)
    echo = wall * (1 - below) + shadow * lung
    tgc = (identity.tgc_db + acquisition.tgc_db) * np.cos(np.pi * r)
    return echo * _power(tgc - identity.attenuation_db * r) + 1e-6, below, slide


def _power(decibel: float | np.ndarray) -> float | np.ndarray:
    return np.exp(np.float32(0.1 * np.log(10)) * decibel)


def _pattern(waves: np.ndarray, at: np.ndarray, finest: float) -> np.ndarray:
    """A smooth pattern with SD about 1 at positions ``at``, of at most ``finest`` waves per probe width."""
    turns = np.pi * np.linspace(1, finest, len(waves))
    terms = (a * np.cos(k * at) + b * np.sin(k * at) for (a, b), k in zip(waves, turns, strict=True))
    return sum(terms) / np.sqrt(len(waves))


def _layers(strength: np.ndarray, at: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Fasciae and muscle of the chest wall: bright sheets; ``at`` is the fraction of the way to the pleura."""
    places = (np.arange(len(strength)) + 0.5) / len(strength)
    sheets = np.zeros_like(at)
    for decibel, place in zip(strength, places, strict=True):
        aslant = place + 0.003 * decibel * u
        sheets += _power(4 + decibel) * np.exp(-(((at - aslant) / 0.035) ** 2))
    return 0.3 + sheets + 3 * np.exp(-((at / 0.08) ** 2))


def _rib_shadow(r: np.ndarray, u: np.ndarray, zone: Zone, depth: np.ndarray) -> np.ndarray:
    """Share of the power that gets past the ribs at each place ``[t r u]``; 1 between them."""
    across = sum(expit((zone.rib_width - np.abs(u - rib)) / 0.05) for rib in zone.ribs).clip(0, 1)
    return 1 - 0.995 * across * expit((r - 0.75 * depth) / 0.02)


def _b_lines(
    severity: float,
    involved: float,
    moved: np.ndarray,
    breath: np.ndarray,
    zone: Zone,
    identity: Identity,
    acquisition: Acquisition,
) -> np.ndarray:
    """Power of the B-lines across the probe ``[t 1 u]``: with severity more, brighter, wider and finally confluent."""
    thresholds = zone.thresholds + acquisition.thresholds_moved - identity.susceptibility
    lit = expit((severity - thresholds) / 0.3)
    width = 0.035 + 0.06 * involved
    total = np.zeros_like(moved)
    for site, share, turn in zip(zone.sites + acquisition.sites_moved, lit, acquisition.flicker, strict=True):
        flicker = (1 + 0.4 * np.sin(2 * breath + turn))[:, None, None]
        total += share * flicker * np.exp(-(((moved - site) / width) ** 2))
    return _power(identity.b_line_db + 4 * (involved - 0.5)) * total


def _speckle(
    rng: np.random.Generator, below: np.ndarray, slide: np.ndarray, severity: float, identity: Identity
) -> np.ndarray:
    """Multiplicative speckle power ``[t r u]``, mean 1: fixed to the chest wall above the pleura, sliding below it.

    Part of it is new in every frame. That part is larger in an aerated lung, whose field shimmers.
    """
    frames, n_r, n_u = below.shape
    margin = n_u // 4
    grain = identity.grain_axial * n_r, identity.grain_lateral * n_u / 2
    fixed = _grainy(rng, (2 * LOOKS, n_r, n_u + 2 * margin), grain)
    fresh = _grainy(rng, (2 * LOOKS, frames, n_r, n_u), grain)
    share = np.float32(0.15 + 0.35 * expit(-1.1 * severity)) * below
    at = (margin + np.arange(n_u))[None, None] - below * (slide * n_u / 2)[:, None, None].astype(np.float32)
    left = np.floor(at).astype(np.intp)
    part = (at - left).astype(np.float32)
    deep = np.arange(n_r)[None, :, None]
    # Interpolation lowers the variance between grid points; dividing restores it.
    carried = (fixed[:, deep, left] * (1 - part) + fixed[:, deep, left + 1] * part) / np.sqrt((1 - part) ** 2 + part**2)
    field = carried * np.sqrt(1 - share) + fresh * np.sqrt(share)
    return (field**2).mean(0)


def _grainy(rng: np.random.Generator, shape: tuple[int, ...], grain: tuple[float, float]) -> np.ndarray:
    """Gaussian noise f32 with SD 1, smoothed along the last two axes with an SD of ``grain`` samples."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    for axis, sigma in zip((-2, -1), grain, strict=True):
        noise = gaussian_filter1d(noise, sigma, axis=axis, mode="wrap", truncate=3)
    return noise / noise.std()


def _shown(decibel: np.ndarray, identity: Identity, acquisition: Acquisition, knobs: Knobs) -> np.ndarray:
    """Scan conversion, gain and compression: decibels on scan lines ``[t r u]`` -> uint8 ``[t h w 1]``."""
    n_r, n_u = decibel.shape[1:]
    r, u, inside = _geometry(identity, knobs.size)
    at_r, at_u = r[inside] * (n_r - 1), (u[inside] + 1) / 2 * (n_u - 1)
    i, j = np.minimum(at_r.astype(np.intp), n_r - 2), np.minimum(at_u.astype(np.intp), n_u - 2)
    a, b = (at_r - i).astype(np.float32), (at_u - j).astype(np.float32)
    flat, first = decibel.reshape(len(decibel), -1), i * n_u + j
    grey = (
        flat[:, first] * ((1 - a) * (1 - b))
        + flat[:, first + 1] * ((1 - a) * b)
        + flat[:, first + n_u] * (a * (1 - b))
        + flat[:, first + n_u + 1] * (a * b)
    ) / np.float32(identity.dynamic_range_db)
    grey = _with_mean(grey, identity.brightness + acquisition.gain)
    clip = np.zeros((len(decibel), knobs.size, knobs.size, 1), np.uint8)
    clip[:, inside, 0] = np.rint(1 + 254 * grey)
    return clip


def _with_mean(grey: np.ndarray, target: float) -> np.ndarray:
    """``clip(grey + gain, 0, 1)`` with the gain that makes its mean ``target``, like automatic gain control."""
    target = min(max(target, 0.05), 0.9)  # a strong identity may ask for an unreachable mean
    low, high = float(-grey.max()), float(1 - grey.min())
    for _ in range(12):
        middle = 0.5 * (low + high)
        if np.clip(grey + np.float32(middle), 0, 1).mean() < target:
            low = middle
        else:
            high = middle
    return np.clip(grey + np.float32(0.5 * (low + high)), 0, 1)


def _geometry(identity: Identity, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth r, lateral position u and whether it lies inside the fan, for each pixel ``[h w]``."""
    middle = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(middle, middle - 0.5, indexing="ij")
    if identity.linear:
        return y, x * 2, np.abs(x * 2) <= 1
    radius, angle = identity.probe_radius, identity.half_angle
    rise = 0.5 * radius * (1 - np.cos(angle))  # the upper edge of the picture cuts the probe's arc at half its height
    y, x = y * (1 + rise) - rise, x * (1 + rise)
    r = np.hypot(x, y + radius) - radius
    u = np.arctan2(x, y + radius) / angle
    return r, u, (r >= 0) & (r <= 1) & (np.abs(u) <= 1)
