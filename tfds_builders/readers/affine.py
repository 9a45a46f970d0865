"""Affines, which map voxel indices to millimetres in RAS+ (right, anterior, superior): made from codes, and checked."""

from pathlib import Path

import nibabel as nib
import numpy as np

from tfds_builders.readers.api import UnsupportedScan

_SIZES = (0.001, 100.0)  # mm along an axis; a header that says less or more has the wrong unit
_OBLONG = 10.0  # the longer side of a pixel over the shorter one


def is_voxel(*sides: float) -> bool:
    """Whether voxels may have these sides in mm."""
    return all(_SIZES[0] <= side <= _SIZES[1] for side in sides)


def is_pixel(row: float, column: float) -> bool:
    """Whether pixels of a picture may have these sides in mm, neither of which may be ten times the other."""
    return is_voxel(row, column) and max(row, column) <= _OBLONG * min(row, column)


def from_code(path: Path | str, code: str | None, zooms: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The affine of a volume whose header gives the size of its voxels but not the direction of its axes.

    Args:
      code: the direction in which each voxel index grows, such as ``RAS`` or ``LPI``.
      zooms: f64 ``[3]``, mm.

    Returns:
      f64 ``[4 4]``; the middle of the volume is at the origin.

    Raises:
      UnsupportedScan: no code was given, or the voxels have no size.
    """
    if code is None:
        raise UnsupportedScan(
            path, "does not say where its axes run (no qform, no sform); state it with --orientation, as in RAS or LAS"
        )
    turn = nib.orientations.axcodes2ornt(code)
    affine = np.zeros((4, 4))
    for axis, (to, sign) in enumerate(turn):
        affine[int(to), axis] = sign * zooms[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    affine[3, 3] = 1
    return checked(path, affine)


def checked(path: Path | str, affine: np.ndarray) -> np.ndarray:
    """Return the affine, unless it cannot be right.

    Raises:
      UnsupportedScan: it collapses the volume to a plane, is not finite, or gives voxels of an impossible size.
    """
    if not np.isfinite(affine).all():
        raise UnsupportedScan(path, "has an affine with entries that are no numbers")
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    if not is_voxel(*zooms):
        size = " x ".join(f"{zoom:g}" for zoom in zooms)
        raise UnsupportedScan(path, f"states voxels of {size} mm; mend the header, or leave the scan out")
    if abs(np.linalg.det(affine[:3, :3] / zooms)) < 0.1:  # 1 for a rotation
        raise UnsupportedScan(path, "has an affine that folds the volume flat; mend the header, or leave the scan out")
    return affine
