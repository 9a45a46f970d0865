"""Shapes by their distance functions: positive inside, in mm, exact near the surface."""

import numpy as np

Size = float | np.ndarray


def ball(x: np.ndarray, y: np.ndarray, z: np.ndarray, axes: tuple[Size, Size, Size]) -> np.ndarray:
    """An ellipsoid about 0, f32 in the shape of the places.

    With ``r`` the length of ``(x/a, y/b, z/c)`` and ``g`` that of ``(x/a², y/b², z/c²)`` it is ``r (1 - r) / g``: to
    first order the distance from the surface.

    Args:
      axes: half lengths a, b, c in mm, each a number or one for each place.
    """
    total, slope = np.float32(1e-6), np.float32(1e-8)
    for place, axis in zip((x, y, z), axes, strict=True):
        inverse = np.float32(1) / np.float32(axis)
        part = place * inverse
        part *= part
        total = total + part
        part *= inverse * inverse
        slope = slope + part
    r = np.sqrt(total)
    r *= 1 - r
    return r / np.sqrt(slope, out=slope)


def inside(distance: np.ndarray, voxel: float) -> np.ndarray:
    """Part of a voxel that lies inside a surface, 0 to 1: half at the surface, all of it half a voxel further in."""
    return np.clip(distance * np.float32(1 / voxel) + np.float32(0.5), 0, 1)


def sheet(distance: np.ndarray, half: float, voxel: float) -> np.ndarray:
    """Part of a voxel that lies within ``half`` mm of a surface; a sheet thinner than a voxel never fills it."""
    return inside(half - distance, voxel) - inside(-half - distance, voxel)


def blend(grey: np.ndarray, value: float | np.ndarray, part: np.ndarray) -> None:
    """Put a tissue in place of a part of each voxel; changes ``grey``."""
    grey += (value - grey) * part
