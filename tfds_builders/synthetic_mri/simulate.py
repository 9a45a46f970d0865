"""The voxels of one T1-weighted volume of a head, from severity, patient, scanner and acquisition.

A structure is where its signed distance function is positive. A voxel takes on a structure by the share of it that lies
inside, so even a change much smaller than a voxel shows in the grey values. Severity affects what it changes in life:
ventricles, sulci, cortex, hippocampi and white matter. It does not affect the mean brightness.
"""

import dataclasses
import functools
import math

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from tfds_builders.simulated_cohort import Row, stream
from tfds_builders.synthetic_mri.anatomy import (
    Acquisition,
    Identity,
    Pattern,
    Scanner,
    acquisition_of,
    identity_of,
    scanner_of,
)
from tfds_builders.synthetic_mri.cohort_model import Knobs, cohort_rows
from tfds_builders.synthetic_mri.shapes import ball, blend, inside, length, sheet

__all__ = ["Knobs", "Row", "cohort_rows", "render", "spacing"]

FIELD_MM = 208.0  # side of the cube, which the largest heads fill
BONE, CSF = 0.1, 0.14  # grey values that are the same in everyone
SULCUS_DEPTH = 15.0  # mm


@dataclasses.dataclass(frozen=True)
class Places:
    """Where each voxel lies in a head of average size, and the patient's patterns there; all f32 ``[t h w]``."""

    x: np.ndarray  # mm to the right
    y: np.ndarray  # mm to the front
    z: np.ndarray  # mm to the top
    folding: np.ndarray
    texture: np.ndarray


def spacing(knobs: Knobs) -> float:
    """Spacing of slices, rows and columns, in mm."""
    return FIELD_MM / knobs.size


def render(row: Row, knobs: Knobs) -> np.ndarray:
    """Render one volume, uint8 ``[size size size 1]``.

    Slices run from inferior to superior, rows from anterior to posterior, columns from the person's left to right. A
    pure function of the knobs, of the row's patient and visit, and of ``row.severity``: it does not depend on the
    process or the order of calls.
    """
    identity, scanner = _person(knobs, row.patient)
    acquisition = acquisition_of(knobs, row)
    rng = stream(knobs, "noise", row.patient, row.visit, row.clip)
    places = _places(identity, acquisition, knobs)
    grey, head = _tissue(row.severity + identity.reserve, identity, places, spacing(knobs))
    return _scanned(grey, head, rng, scanner, acquisition, knobs)


@functools.lru_cache(maxsize=64)
def _person(knobs: Knobs, patient: int) -> tuple[Identity, Scanner]:
    return identity_of(knobs, patient), scanner_of(knobs, patient)


def _places(identity: Identity, acquisition: Acquisition, knobs: Knobs) -> Places:
    along = spacing(knobs) * (np.arange(knobs.size) - (knobs.size - 1) / 2)
    axes = along, -along, along  # to the right with the columns, to the front against the rows, to the top
    turn = Rotation.from_rotvec(acquisition.turn).as_matrix()
    shear = np.array([[1, -identity.torque, 0], [0, 1, 0], [0, 0, 1]])
    matrix = np.diag(1 / identity.scale) @ shear @ turn
    offset = -matrix @ acquisition.shift
    x, y, z = (
        _outer_sum(*(m * a for m, a in zip(line, axes, strict=True))) + np.float32(o)
        for line, o in zip(matrix, offset, strict=True)
    )
    return Places(x, y, z, *(_values(p, matrix, offset, axes) for p in (identity.folding, identity.texture)))


def _outer_sum(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """``x[w] + y[h] + z[t]`` as f32 ``[t h w]``."""
    return (z[:, None, None] + y[:, None] + x).astype(np.float32)


def _values(pattern: Pattern, matrix: np.ndarray, offset: np.ndarray, axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """The pattern f32 ``[t h w]``: even when rotated, a plane wave is a product of three waves along the axes."""
    waves = pattern.waves @ matrix
    amplitudes = pattern.amplitudes * np.exp(1j * (pattern.waves @ offset))
    x, y, z = (np.exp(1j * np.outer(w, a)) for w, a in zip(waves.T, axes, strict=True))
    across = (amplitudes[:, None, None] * z[:, :, None] * y[:, None]).reshape(len(waves), -1)
    # The real part of a product of complex numbers is one real product of twice the length.
    left, right = np.concatenate([across.real, across.imag]), np.concatenate([x.real, -x.imag])
    field = left.astype(np.float32).T @ right.astype(np.float32)
    return field.reshape(len(axes[2]), len(axes[1]), len(axes[0]))


def _keep_freed_memory() -> None:
    """Free one large block, after which glibc keeps freed memory: 90 volumes of 32 voxels a second instead of 60.

    Until then it returns each freed array to the kernel, which clears it before it is used again (2026-11).
    """
    np.empty(16 << 20, np.uint8)


_keep_freed_memory()


def _tissue(severity: float, identity: Identity, at: Places, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Grey values of the tissues, and the share of each voxel that is head; both f32 ``[t h w]``."""
    x, y, z = at.x, at.y, at.z
    aside = np.abs(x)
    wide = x * (1 + np.float32(identity.taper) * y)
    above = z > 12

    def skull_of(more: float, down: float) -> np.ndarray:
        return ball(wide, y, z - 12, (65 + more, 82 + more, np.where(above, 60 + more, down).astype(np.float32)))

    cerebrum = np.maximum(skull_of(0, 42), ball(aside - 40, y - 8, z + 20, (24, 42, 24)))
    c = identity.cerebellum
    cerebellum = ball(x, y + 42, z + 46, (48 * c, 32 * c, 22 * c))
    stem = ball(x, y + 16, z + 48, (13, 13, 48))
    cavity = np.maximum(np.maximum(cerebrum, cerebellum), stem) + 2
    shell = identity.skull + identity.scalp
    surface = np.maximum(skull_of(2 + shell, 120), ball(x, y - 34, z + 52, (56, 56, 62)))
    head = inside(surface, voxel)

    grey = head * (0.36 + 0.08 * at.texture)  # muscle
    blend(grey, identity.fat, head - inside(surface - identity.scalp, voxel))
    blend(grey, CSF, inside(ball(aside - 31, y - 66, z + 24, (12, 12, 12)), voxel))  # eyes
    blend(grey, BONE, inside(ball(x, y - 70, z + 52, (13, 26, 26)), voxel))  # the nose is air
    blend(grey, BONE, inside(cavity + identity.skull, voxel))
    blend(grey, CSF, inside(cavity, voxel))

    blend(grey, identity.grey + 0.05 * at.folding, inside(cerebellum - 1.5, voxel))
    blend(grey, identity.white - 0.04, inside(cerebellum - 13, voxel))
    blend(grey, identity.white - 0.06, inside(stem, voxel))
    ventricles, hippocampi = _inner_surfaces(severity, identity, at)
    _cerebrum(grey, cerebrum, ventricles, severity, identity, at, voxel)
    blend(grey, CSF, inside(ventricles, voxel))
    blend(grey, identity.grey + 0.03, inside(hippocampi, voxel))
    return grey, head


def _inner_surfaces(severity: float, identity: Identity, at: Places) -> tuple[np.ndarray, np.ndarray]:
    """Distances f32 ``[t h w]`` of the ventricles, whose temporal horns surround the hippocampi, and of the latter."""
    x, y, z = at.x, at.y, at.z
    aside = np.abs(x)
    width = _exp_within(identity.ventricles + 0.11 * severity, 0.8)
    side = 1 + np.float32(identity.lopsided) * np.clip(x / 6, -1, 1)
    bow = y * y
    lateral = ball(
        aside - 9.5 * width**0.5 - 0.003 * bow,
        y + 4,
        z - 17 + 0.007 * bow,
        (7.5 * width * side, identity.ventricle_length * width**0.5, 9 * width * side),
    )
    third = ball(x, y + 8, z - 2, (2.2 * width, 14, 10))
    fourth = ball(x, y + 31, z + 40, (6, 5, 8))
    horns = ball(aside - 27, y + 12, z + 20, (9, 20, 8))
    shrunk = _exp_within(identity.hippocampi - 0.1 * severity, 0.5)
    hippocampi = ball(aside - 27, y + 12, z + 21, (8.5 * shrunk, 20 * shrunk, 7.5 * shrunk))
    return functools.reduce(np.maximum, (lateral, third, fourth, horns)), hippocampi


def _exp_within(value: float, most: float) -> float:
    """``exp`` of the value clipped to ``±most``, so that no severity makes a structure vanish."""
    return math.exp(min(max(value, -most), most))


def _cerebrum(
    grey: np.ndarray,
    cerebrum: np.ndarray,
    ventricles: np.ndarray,
    severity: float,
    identity: Identity,
    at: Places,
    voxel: float,
) -> None:
    """White matter with its lesions, deep nuclei, and the cortex along the surface and both walls of each sulcus."""
    x, y, z = at.x, at.y, at.z
    aside = np.abs(x)
    near = np.exp(np.minimum(ventricles, 0) / 8)
    lesions = np.clip(0.6 * at.texture + 1.6 * near - 1.7 + 0.3 * (severity + identity.lesions), 0, 1)
    white = identity.white - 0.015 * severity - 0.22 * lesions
    matter = identity.grey + 0.006 * severity
    blend(grey, white, inside(cerebrum, voxel))
    for place, axes in (((11, -16, 7), (9, 14, 9)), ((25, 4, 3), (6, 18, 11)), ((17, 14, 15), (5, 15, 7))):
        nucleus = ball(aside - place[0], y - place[1], z - place[2], axes)
        blend(grey, matter + 0.1, inside(nucleus, voxel))

    steep = np.float32(0.9 * np.linalg.norm(identity.folding.waves[0]))  # mean slope of the pattern at its zeros
    sulci = length(at.folding / steep, np.maximum(cerebrum - SULCUS_DEPTH, 0))
    callosum = ball(x, y + 6, z - 8, (1000, 46, 27))
    fissure = length(x, np.maximum(callosum, 0))
    sylvian = length(z + 4 + 0.25 * y, np.maximum(36 - aside, 0) + np.maximum(np.abs(y - 6) - 32, 0))
    walls = functools.reduce(np.minimum, (sulci, fissure, sylvian))
    gap = 0.9 * _exp_within(identity.sulci + 0.22 * severity, 1.2)
    thick = identity.cortex - 0.15 * min(max(severity, -4), 4)
    whole = inside(cerebrum, voxel)
    for value, depth in ((matter, gap + thick), (CSF, gap)):
        blend(grey, value, whole * np.maximum(inside(depth - cerebrum, voxel), sheet(walls, depth, voxel)))


def _scanned(
    grey: np.ndarray,
    head: np.ndarray,
    rng: np.random.Generator,
    scanner: Scanner,
    acquisition: Acquisition,
    knobs: Knobs,
) -> np.ndarray:
    """Blur, contrast curve, coil sensitivity, gain and noise: tissue ``[t h w]`` -> uint8 ``[t h w 1]``.

    The gain sets the mean of the head to the acquisition's brightness, so severity does not affect it. The noise is
    that of a magnitude image: ``sqrt((a + n₁)² + n₂²)``.
    """
    for axis in range(3):
        grey = gaussian_filter1d(grey, scanner.blur / spacing(knobs), axis=axis, truncate=3)
    grey = np.maximum(grey, 0) ** np.float32(scanner.gamma + acquisition.gamma)
    at = np.linspace(-1, 1, knobs.size)
    coil = (slope * at + bend * at**2 for slope, bend in scanner.coil + acquisition.coil)
    right, front, top = (np.exp(line).astype(np.float32) for line in coil)
    grey *= top[:, None, None] * front[::-1, None] * right
    grey *= np.float32(acquisition.brightness * head.sum() / grey.sum())
    noise = scanner.noise * rng.standard_normal((2, *grey.shape), dtype=np.float32)
    grey = length(grey + noise[0], noise[1])
    return np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)[..., None]
