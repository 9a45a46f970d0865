"""Ultrasound DICOM files -> grey frames, cropped to the ultrasound image."""

from pathlib import Path

import numpy as np
import pydicom

from tfds_builders.readers import dicom_file
from tfds_builders.readers.affine import is_pixel
from tfds_builders.readers.api import Reading, UnsupportedScan, evenly
from tfds_builders.readers.limits import LIMITS, Limits

_WINDOW = (0.5, 99.5)  # percentiles that become black and white in grey of more than 8 bits
_TWO_DIMENSIONAL, _CENTIMETRES = 1, 3  # codes of region format and of its units, DICOM PS3.3 C.8.5.5
_CROPPED = 0.95  # share of a picture up to which a region leaves out a margin with names
_SECONDS = (1e-5, 3600.0)  # between frames; the fastest ultrasound takes 20,000 a second
_CORNERS = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
Region = tuple[slice, slice]


def read(path: Path | str, frames: int, allow_burned_in: bool = False, limits: Limits = LIMITS) -> Reading:
    """Decode ``frames`` frames, evenly spread from the first to the last, and no others.

    Frames are cropped to the largest two-dimensional ultrasound region that the header names (0018,6011). Colours
    become brightness. Grey of more than 8 bits is rescaled so that its percentiles 0.5 and 99.5 become black and white.

    Returns:
      ``pixels`` uint8 ``[frames h w 1]``; ``spacing``: seconds between kept frames, mm between rows and columns;
      ``aspect`` of its pixels.

    Raises:
      UnsupportedScan: there is no picture, or it may show a name: ``BurnedInAnnotation`` is not NO, no region of
        at most 95 % of the frame is named, and ``allow_burned_in`` is not set.
      UnreadableScan: not DICOM, damaged, cut off. TooLarge: beyond ``limits``.
    """
    dataset, total, region = _header(path, allow_burned_in, limits)
    wanted = evenly(total, frames)
    limits.check_bytes(path, 4 * len(set(wanted.tolist())) * int(dataset.Rows) * int(dataset.Columns))
    unique, places = np.unique(wanted, return_inverse=True)
    kept = np.stack([frame[region] for frame in dicom_file.grey_frames(path, dataset, unique.tolist(), limits)])
    pixels = _to_bytes(path, kept, dataset)[places]
    with dicom_file.guarded(path):
        step = _seconds(dataset) * (total - 1) / (frames - 1) if frames > 1 and total > 1 else np.nan
        return Reading(pixels[..., None], np.array([step, *_millimetres(dataset)], np.float32), _aspect(dataset))


def probe(path: Path | str, allow_burned_in: bool = False, limits: Limits = LIMITS) -> None:
    """Read the header without decoding pixels.

    Raises:
      UnsupportedScan, UnreadableScan, TooLarge: as :func:`read`.
    """
    _header(path, allow_burned_in, limits)


def _header(path: Path | str, allow_burned_in: bool, limits: Limits) -> tuple[pydicom.Dataset, int, Region]:
    dataset = dicom_file.parse(path, limits)
    total = dicom_file.check(path, dataset, limits)
    with dicom_file.guarded(path):
        found, (height, width) = _region(dataset), (int(dataset.Rows), int(dataset.Columns))
        rows, columns = (slice(0, height), slice(0, width)) if found is None else _place(found, dataset)
        share = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        nothing = str(dataset.get("BurnedInAnnotation", "")).strip() == "NO"
        if share > _CROPPED and not nothing and not allow_burned_in:
            raise UnsupportedScan(
                path,
                "may show a name: its header does not say that nothing is burned in, and names no ultrasound region to "
                f"crop to, or one of more than {_CROPPED:.0%} of the picture. Look at it, and allow it with "
                "--allow_burned_in",
            )
        return dataset, total, (rows, columns)


def _region(dataset: pydicom.Dataset) -> pydicom.Dataset | None:
    """The largest two-dimensional region that lies within the frame."""
    found, largest = None, 0
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        if int(region.get("RegionSpatialFormat", 0)) == _TWO_DIMENSIONAL and all(tag in region for tag in _CORNERS):
            rows, columns = _place(region, dataset)
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            if 0 <= rows.start < rows.stop and 0 <= columns.start < columns.stop and area > largest:
                found, largest = region, area
    return found


def _place(region: pydicom.Dataset, dataset: pydicom.Dataset) -> Region:
    """Rows and columns of a region; empty where it exceeds the frame. Scanners may be off by one at its end."""
    left, top, right, bottom = (int(region[tag].value) for tag in _CORNERS)
    width, height = int(dataset.Columns), int(dataset.Rows)
    if right > width or bottom > height:
        return slice(0, 0), slice(0, 0)
    return slice(top, min(bottom + 1, height)), slice(left, min(right + 1, width))


def _to_bytes(path: Path | str, frames: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    if dicom_file.is_colour(dataset) or (int(dataset.BitsStored) == 8 and frames.min() >= 0 and frames.max() <= 255):
        return np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    low, high = np.percentile(frames, _WINDOW)
    if not high > low:
        raise UnsupportedScan(path, "is one even grey")
    return np.rint(np.clip((frames - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)


def _seconds(dataset: pydicom.Dataset) -> float:
    """Seconds between two frames; NaN where the header does not say, or nothing that can be."""
    times = np.atleast_1d(np.array(dataset.get("FrameTimeVector") or [], np.float64))
    steps = [times[1:].mean() / 1000] if times.size > 1 else []
    steps.append(float(dataset.get("FrameTime") or 0) / 1000)
    rates = [float(dataset.get(rate) or 0) for rate in ("CineRate", "RecommendedDisplayFrameRate")]
    steps += [1 / rate for rate in rates if rate]
    return next((float(step) for step in steps if _SECONDS[0] <= step <= _SECONDS[1]), np.nan)


def _aspect(dataset: pydicom.Dataset) -> float:
    """Width of a pixel over its height; 1 where the header does not say, or nothing that can be."""
    sizes = [float(size) for size in np.atleast_1d(dataset.get("PixelAspectRatio") or [])]
    return sizes[1] / sizes[0] if len(sizes) == 2 and sizes[0] and is_pixel(1.0, sizes[1] / sizes[0]) else 1.0


def _millimetres(dataset: pydicom.Dataset) -> tuple[float, float]:
    """Spacing of rows and columns in mm; NaN where the header does not say, or nothing that can be."""
    region = _region(dataset)
    if region is not None and int(region.get("PhysicalUnitsXDirection", 0)) == _CENTIMETRES:
        row, column = (10 * abs(float(region.get(f"PhysicalDelta{axis}", 0))) for axis in "YX")
    else:
        row, column = map(float, dataset.get("PixelSpacing") or (0, 0))
    return (row, column) if is_pixel(row, column) else (np.nan, np.nan)
