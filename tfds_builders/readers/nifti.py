"""NIfTI volumes (.nii, .nii.gz) -> grey slices from the feet upwards."""

import math
from pathlib import Path

import nibabel as nib
import numpy as np

from tfds_builders.readers.api import Reading, TooLarge, UnreadableScan, UnsupportedScan, open_error
from tfds_builders.readers.limits import LIMITS, Limits, gunzip

WINDOW = (0.5, 99.5)  # percentiles of all voxels that become black and white
_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}
_KINDS = {348: nib.Nifti1Image, 540: nib.Nifti2Image}


def read(path: Path | str, limits: Limits = LIMITS) -> Reading:
    """Read one volume, turned so that voxel axes run to the right, anterior and superior, in a robust grey window.

    Returns:
      ``pixels`` uint8 ``[t h w 1]``: slices from inferior to superior, rows from anterior to posterior, columns from
      the person's left to right; ``spacing`` in mm.

    Raises:
      UnreadableScan: not NIfTI, damaged or cut off.
      UnsupportedScan: several volumes, colours, or every voxel alike.
      TooLarge: beyond ``limits``.
    """
    image = _load(path, limits)
    canonical = nib.as_closest_canonical(image)
    if not np.issubdtype(canonical.get_data_dtype(), np.number) or canonical.get_data_dtype().kind == "c":
        raise UnsupportedScan(path, f"holds {canonical.get_data_dtype()} voxels; a volume of grey values is needed")
    volume = canonical.get_fdata(dtype=np.float32, caching="unchanged")
    volume = volume.reshape(volume.shape[:3])
    zooms = canonical.header.get_zooms()[:3]
    unit = _MILLIMETRES[canonical.header.get_xyzt_units()[0]]
    x, y, z = (float(zoom) * unit if math.isfinite(zoom) and zoom > 0 else math.nan for zoom in zooms)
    grey = _window(path, volume)
    return Reading(np.ascontiguousarray(grey.transpose(2, 1, 0)[:, ::-1])[..., None], np.array([z, y, x], np.float32))


def probe(path: Path | str, limits: Limits = LIMITS) -> None:
    """Read header and data to the end of the file, comparing the checksum of a compressed one; the voxels stay unused.

    Raises:
      UnreadableScan, UnsupportedScan, TooLarge: as :func:`read`.
    """
    _load(path, limits)


def _load(path: Path | str, limits: Limits) -> nib.Nifti1Image:
    data = _bytes(path, limits)
    kind, header = _header(path, data)
    _check_header(path, header, limits)
    if len(data) < _needed(header):
        raise UnreadableScan(path, f"is cut off: {len(data)} bytes, and its header needs {_needed(header)}")
    return kind.from_bytes(data)


def _bytes(path: Path | str, limits: Limits) -> bytes:
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                limits.check_bytes(path, Path(path).stat().st_size)
                return file.read()
            data = bytearray()
            checked = False
            for piece in gunzip(path, file):
                data += piece
                if not checked and len(data) >= 540:
                    _check_header(path, _header(path, data)[1], limits)
                    checked = True
                limits.check_bytes(path, len(data))
            return bytes(data)
    except OSError as error:
        raise open_error(path, error) from error


def _header(path: Path | str, data: bytes) -> tuple[type[nib.Nifti1Image], nib.Nifti1Header]:
    sizes = {int.from_bytes(data[:4], order) for order in ("little", "big")}
    for size, kind in _KINDS.items():
        if size in sizes and len(data) >= size:
            try:
                return kind, kind.header_class(bytes(data[:size]), check=False)
            except (nib.spatialimages.HeaderDataError, nib.wrapstruct.WrapStructError) as error:
                raise UnreadableScan(path, f"has a damaged NIfTI header ({error})") from error
    raise UnreadableScan(path, "is not a NIfTI volume (.nii or .nii.gz)")


def _check_header(path: Path | str, header: nib.Nifti1Header, limits: Limits) -> None:
    try:
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
    except nib.spatialimages.HeaderDataError as error:
        raise UnreadableScan(path, f"has a damaged NIfTI header ({error})") from error
    if len(shape) < 3 or min(shape) < 1:
        raise UnsupportedScan(path, f"has the shape {_by(shape)}; a volume has three axes")
    if math.prod(shape[3:]) != 1:
        raise UnsupportedScan(path, f"holds {math.prod(shape[3:])} volumes ({_by(shape)}); store the one to use alone")
    if max(shape[:3]) > limits.side:
        raise TooLarge(path, f"declares {_by(shape)} voxels; the limit is {limits.side} along an axis")
    # As stored, and as the f32 in which the window is applied.
    limits.check_bytes(path, math.prod(shape) * max(dtype.itemsize, 4))


def _needed(header: nib.Nifti1Header) -> int:
    return int(header["vox_offset"]) + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize


def _window(path: Path | str, volume: np.ndarray) -> np.ndarray:
    """f32 -> uint8, the percentiles of :data:`WINDOW` becoming 0 and 255; what is not a number becomes 0."""
    finite = np.isfinite(volume)
    known = volume if finite.all() else volume[finite]
    low, high = np.percentile(known, WINDOW) if known.size else (0.0, 0.0)
    if not high > low:
        raise UnsupportedScan(path, f"is one even grey: percentiles {WINDOW[0]} and {WINDOW[1]} of it are both {low:g}")
    grey = np.clip((volume - np.float32(low)) * np.float32(255 / (high - low)), 0, 255)
    return np.rint(np.where(finite, grey, 0)).astype(np.uint8)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "nothing"
