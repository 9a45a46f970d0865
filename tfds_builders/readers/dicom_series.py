"""A folder with the slices of one DICOM series -> a volume."""

from pathlib import Path

import numpy as np
import pydicom

from tfds_builders.readers import dicom_file
from tfds_builders.readers.affine import checked
from tfds_builders.readers.api import UnreadableScan, UnsupportedScan, Volume
from tfds_builders.readers.limits import LIMITS, Limits, open_file

_EVEN = 0.05  # share of the slice spacing by which positions may differ from an even stack
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(folder: Path | str, limits: Limits = LIMITS) -> Volume:
    """Stack slices by their positions, whatever their names and numbers say; files that are not DICOM are ignored.

    Raises:
      UnreadableScan: there is no slice, a damaged one, an empty file, or a file ending in .dcm that is not DICOM.
      UnsupportedScan: there are several series, sizes or directions, two slices in one place, or a gap.
      TooLarge: beyond ``limits``.
    """
    paths = _files(folder, limits)
    slices = [dicom_file.parse(path, limits) for path in paths]
    for dataset in slices:
        if dicom_file.check(folder, dataset, limits) > 1:
            raise UnsupportedScan(folder, "holds a file of several frames; a series has one slice in each file")
    with dicom_file.guarded(folder):
        order, affine = _stack(folder, slices)
        limits.check_bytes(folder, 4 * len(slices) * int(slices[0].Rows) * int(slices[0].Columns))
    pixels = [next(dicom_file.grey_frames(paths[i], slices[i], [0], limits)) for i in order]
    return Volume(np.stack(pixels).transpose(2, 1, 0), checked(folder, affine))


def probe(folder: Path | str, limits: Limits = LIMITS) -> None:
    """Check that there are slices, without reading any.

    Raises:
      UnreadableScan, TooLarge: as :func:`read`.
    """
    _files(folder, limits)


def _files(folder: Path | str, limits: Limits) -> list[Path]:
    found = []
    for path in sorted(Path(folder).iterdir()):
        if path.name.startswith(".") or path.name == "DICOMDIR" or path.is_dir():
            continue
        with open_file(path) as file:
            head = file.read(132)
        if head[128:] == b"DICM":
            found.append(path)
        elif not head or path.suffix.lower() == ".dcm":  # missing at an end of the stack, it would leave no gap
            raise UnreadableScan(folder, "holds a slice that is empty or no DICOM file; copy the series again")
    if not found:
        raise UnreadableScan(folder, "is a folder without DICOM slices")
    limits.check_count(folder, len(found))
    return found


def _stack(folder: Path | str, slices: list[pydicom.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """The order of the slices by position, and the affine f64 ``[4 4]`` from voxel [column row slice] to mm in RAS+."""
    for what, plural in (("SeriesInstanceUID", "series"), ("Rows", "heights"), ("Columns", "widths")):
        different = {str(dataset.get(what)) for dataset in slices}
        if len(different) > 1:
            raise UnsupportedScan(folder, f"holds slices of {len(different)} {plural}; give each a folder of its own")
    if not all(d.get("ImagePositionPatient") and d.get("ImageOrientationPatient") for d in slices):
        raise UnsupportedScan(folder, "has slices that do not say where they lie")
    directions = np.array([d.ImageOrientationPatient for d in slices], np.float64)
    if np.abs(directions - directions[0]).max() > 1e-3:
        raise UnsupportedScan(folder, "holds slices of several directions")
    along_columns, along_rows = directions[0].reshape(2, 3)
    normal = np.cross(along_columns, along_rows)
    positions = np.array([d.ImagePositionPatient for d in slices], np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    _check_even(folder, (positions @ normal)[order])
    first, last = positions[order[0]], positions[order[-1]]
    row, column = map(float, slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([along_columns * column, along_rows * row, (last - first) / (len(slices) - 1)], axis=1)
    affine[:3, 3] = first
    return order, _LPS_TO_RAS @ affine


def _check_even(folder: Path | str, places: np.ndarray) -> None:
    if len(places) < 2:
        raise UnsupportedScan(folder, "holds one slice; a volume has more")
    steps = np.diff(places)
    usual = np.median(steps)
    if steps.min() < _EVEN * usual or usual <= 0:
        at = places[np.argmin(steps)]
        raise UnsupportedScan(folder, f"holds two slices at one place ({at:g} mm); it is more than one volume")
    if np.abs(steps - usual).max() > _EVEN * usual:
        worst = int(np.argmax(np.abs(steps - usual)))
        raise UnsupportedScan(
            folder,
            f"has slices {usual:g} mm apart, and {steps[worst]:g} mm between {places[worst]:g} and "
            f"{places[worst + 1]:g} mm; slices are missing",
        )
