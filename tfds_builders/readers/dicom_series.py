"""A folder with the slices of one DICOM series -> a volume."""

import math
from pathlib import Path

import numpy as np
import pydicom

from tfds_builders.readers import dicom_file
from tfds_builders.readers.affine import checked
from tfds_builders.readers.api import UnreadableScan, UnsupportedScan, Volume
from tfds_builders.readers.limits import LIMITS, Limits, open_file

_EVEN = 0.05  # share of the slice spacing by which the distance of two slices may differ from it
_ASIDE = 0.25  # share of the slice spacing by which a slice may lie beside its place in an even stack
_TAGS = (
    *("SeriesInstanceUID", "FrameOfReferenceUID", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
)
_ALIKE = {
    "SeriesInstanceUID": "series",
    "FrameOfReferenceUID": "frames of reference",
    "PhotometricInterpretation": "photometric interpretations",
    "Rows": "heights",
    "Columns": "widths",
}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(folder: Path | str, limits: Limits = LIMITS) -> Volume:
    """Stack slices by their positions, whatever their names and numbers say; files that are not DICOM are ignored.

    Raises:
      UnreadableScan: there is no slice, a damaged one, an empty file, or a file ending in .dcm that is not DICOM.
      UnsupportedScan: there are several series, frames of reference, sizes or directions, two slices in one place, a
        gap, or slices beside one another.
      TooLarge: beyond ``limits``.
    """
    paths = _files(folder, limits)
    headers = [dicom_file.parse(path, limits, _TAGS) for path in paths]
    with dicom_file.guarded(folder):
        order, affine = _stack(folder, headers)
        checked(folder, affine)
        shape = (len(headers), int(headers[0].Rows), int(headers[0].Columns))
        limits.check_bytes(folder, 4 * math.prod(shape))
        voxels = np.empty(shape, np.float32)
        for place, i in enumerate(order):  # one file at a time, since private elements may take any room
            dataset = dicom_file.parse(paths[i], limits)
            dicom_file.check(folder, dataset, limits)
            voxels[place] = next(dicom_file.grey_frames(paths[i], dataset, [0], limits))
    return Volume(voxels.transpose(2, 1, 0), affine)


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
    if any(int(dataset.get("NumberOfFrames") or 1) > 1 for dataset in slices):
        raise UnsupportedScan(folder, "holds a file of several frames; a series has one slice in each file")
    for what, plural in _ALIKE.items():
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
    spacings = np.array([d.PixelSpacing for d in slices], np.float64)
    if not np.allclose(spacings, spacings[0], rtol=1e-3, atol=0):
        raise UnsupportedScan(folder, "holds slices with pixels of several sizes; give each a folder of its own")
    first, last = positions[order[0]], positions[order[-1]]
    step = (last - first) / (len(slices) - 1)
    aside = np.linalg.norm(positions[order] - first - np.arange(len(slices))[:, None] * step, axis=1)
    if aside.max() > _ASIDE * np.linalg.norm(step):
        raise UnsupportedScan(folder, f"has a slice {aside.max():g} mm beside its place in an even stack of slices")
    row, column = spacings[0]
    affine = np.eye(4)
    affine[:3, :3] = np.stack([along_columns * column, along_rows * row, step], axis=1)
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
