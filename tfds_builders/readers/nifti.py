"""NIfTI and Analyze volumes: .nii, .nii.gz, and pairs of .hdr and .img."""

import math
import re
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1PairHeader
from nibabel.nifti2 import Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from tfds_builders.readers.affine import checked, from_code
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan, Volume
from tfds_builders.readers.limits import LIMITS, Limits, read_bytes, read_head

_HEAD = 540  # bytes of the longer of the two headers
_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}


def read(path: Path | str, orientation: str | None = None, limits: Limits = LIMITS) -> Volume:
    """Read one volume; a compressed file is unpacked to its end, so that its checksum is verified.

    Args:
      path: of a single file, or of either half of a pair.
      orientation: direction of the voxel axes, such as ``RAS`` or ``LAS``; used where the header does not say.

    Raises:
      UnreadableScan: the file is not NIfTI, damaged or cut off.
      UnsupportedScan: it holds several volumes or colours, or has no usable affine.
      TooLarge: it is beyond ``limits``.
    """
    header, data_file = _checked_header(path, limits)
    affine = _affine(path, header, orientation)
    return Volume(_voxels(path, header, read_bytes(data_file, limits)), affine)


def probe(path: Path | str, limits: Limits = LIMITS) -> None:
    """Read the header without the voxels.

    Raises:
      UnreadableScan, UnsupportedScan, TooLarge: as :func:`read`.
    """
    _checked_header(path, limits)


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins with these bytes is NIfTI or Analyze."""
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    return len(head) >= 348 and bool(sizes & {348, 540})


def is_pair(path: Path) -> bool:
    """Whether a file holds the voxels of a .hdr/.img pair, which can be told only by the header beside it."""
    other = _other(path, ".img", ".hdr")
    return other is not None and other.is_file()


def halves(path: Path) -> list[Path]:
    """Both files of a .hdr/.img pair, whichever is given and whether or not they exist; else the path alone."""
    return [path, *filter(None, (_other(path, ".hdr", ".img"), _other(path, ".img", ".hdr")))]


def _checked_header(path: Path | str, limits: Limits) -> tuple[nib.AnalyzeHeader, Path]:
    """The header, and the file that holds the voxels."""
    header_file = _sibling(path, ".img", ".hdr")
    head = read_head(header_file, _HEAD)
    if not is_nifti(head):
        raise UnreadableScan(path, "is not a NIfTI volume (.nii, .nii.gz, or .hdr with .img)")
    kind = _kind(head)
    try:
        header = kind(head[: kind.sizeof_hdr], check=False)
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
    except (HeaderDataError, WrapStructError, KeyError, ValueError) as error:
        raise UnreadableScan(path, "has a damaged NIfTI header") from error
    _check_shape(path, shape, dtype, limits)
    data_file = Path(path) if getattr(header, "is_single", False) else _sibling(path, ".hdr", ".img")
    return header, data_file


def _sibling(path: Path | str, suffix: str, other: str) -> Path:
    """The other half of a pair where ``path`` ends with ``suffix``; ``path`` itself otherwise."""
    found = _other(Path(path), suffix, other)
    if found is None:
        return Path(path)
    if not found.is_file():
        raise UnreadableScan(path, f"is half of a pair, and its {other} is missing beside it")
    if found.resolve().parent != Path(path).resolve().parent:
        raise UnreadableScan(path, f"is half of a pair, and its {other} is a link to another folder")
    return found


def _other(path: Path, suffix: str, other: str) -> Path | None:
    """The path with another suffix, in capitals if the first was; None where ``path`` does not end with ``suffix``."""
    stem, found, packed = re.fullmatch(r"(.*?)(\.[a-z]+)?(\.gz)?", path.name, re.IGNORECASE | re.DOTALL).groups("")
    if found.lower() != suffix:
        return None
    return path.with_name(stem + (other.upper() if found.isupper() else other) + packed)


def _kind(head: bytes) -> type[nib.AnalyzeHeader]:
    magic = head[344:348]
    if magic == b"n+1\0":
        return nib.Nifti1Header
    if magic == b"ni1\0":
        return Nifti1PairHeader
    if 540 in {int.from_bytes(head[:4], order) for order in ("little", "big")}:
        return nib.Nifti2Header if head[4:7] == b"n+2" else Nifti2PairHeader
    return nib.AnalyzeHeader


def _check_shape(path: Path | str, shape: tuple[int, ...], dtype: np.dtype, limits: Limits) -> None:
    if dtype.kind not in "iuf":
        raise UnsupportedScan(path, "holds colours or complex numbers; a volume of grey values is needed")
    if len(shape) < 3 or min(shape) < 1:
        raise UnsupportedScan(path, f"has the shape {_by(shape)}; a volume has three axes")
    if math.prod(shape[3:]) != 1:
        raise UnsupportedScan(path, f"holds {math.prod(shape[3:])} volumes ({_by(shape)}); store the one to use alone")
    if max(shape[:3]) > limits.side:
        raise TooLarge(path, f"declares {_by(shape)} voxels; the limit is {limits.side} along an axis")
    # As stored, or as the f32 to which it is resampled.
    limits.check_bytes(path, math.prod(shape) * max(dtype.itemsize, 4))


def _affine(path: Path | str, header: nib.AnalyzeHeader, orientation: str | None) -> np.ndarray:
    """Voxel index -> mm in RAS+, by the sform, else the qform, else ``orientation``."""
    nifti = isinstance(header, nib.Nifti1Header)
    try:
        unit = _MILLIMETRES[header.get_xyzt_units()[0]] if nifti else 1.0
        if not nifti or not (header["sform_code"] or header["qform_code"]):
            zooms = unit * np.abs(np.array(header.get_zooms()[:3], np.float64))
            return from_code(path, orientation, zooms, header.get_data_shape()[:3])
        affine = np.array(header.get_best_affine(), np.float64)
    except (HeaderDataError, KeyError, ValueError) as error:  # an impossible quaternion or unit
        raise UnsupportedScan(path, "has an impossible orientation in its header") from error
    return checked(path, np.diag([unit, unit, unit, 1.0]) @ affine)


def _voxels(path: Path | str, header: nib.AnalyzeHeader, data: bytes | bytearray) -> np.ndarray:
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    start, size = float(header["vox_offset"]), math.prod(shape) * dtype.itemsize
    if not 0 <= start <= len(data):  # also where it is no number
        raise UnreadableScan(path, "is damaged: its header says that the voxels begin where the file is not")
    start, least = int(start), header.single_vox_offset if getattr(header, "is_single", False) else 0
    if start < least:  # within the header; 0 may mean "where they belong"
        if start or len(data) != least + size:
            raise UnreadableScan(path, f"is damaged: its voxels begin at byte {start}, and its header ends at {least}")
        start = least
    if len(data) < start + size:
        raise UnreadableScan(path, f"is cut off: {len(data)} bytes, and its header needs {start + size}")
    voxels = np.frombuffer(data, dtype, math.prod(shape), start).reshape(shape[:3], order="F")
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise UnreadableScan(path, "has a slope in its header that is not a number") from error
    if slope in (None, 1.0) and not intercept:
        return voxels
    return voxels.astype(np.float32) * np.float32(slope or 1.0) + np.float32(intercept or 0.0)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(int(n)) for n in shape) or "nothing"
