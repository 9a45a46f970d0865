"""FreeSurfer volumes: .mgz and .mgh."""

import math
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from tfds_builders.readers.affine import checked, from_code
from tfds_builders.readers.api import TooLarge, UnreadableScan, UnsupportedScan, Volume
from tfds_builders.readers.limits import LIMITS, Limits, read_bytes, read_head

_HEAD = 284  # bytes before the voxels


def read(path: Path | str, orientation: str | None = None, limits: Limits = LIMITS) -> Volume:
    """Read one volume; arguments and errors are those of ``nifti.read``."""
    header = _checked_header(path, limits)
    data = read_bytes(path, limits)
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if len(data) < _HEAD + math.prod(shape) * dtype.itemsize:
        raise UnreadableScan(path, "is cut off: it holds fewer voxels than its header says")
    voxels = np.frombuffer(data, dtype, math.prod(shape), _HEAD).reshape(shape[:3], order="F")
    if data[28:30] == b"\0\0":  # goodRASFlag; nibabel sets it where the file does not
        return Volume(voxels, from_code(path, orientation, np.abs(np.array(header.get_zooms()[:3])), shape[:3]))
    return Volume(voxels, checked(path, np.array(header.get_affine(), np.float64)))


def probe(path: Path | str, limits: Limits = LIMITS) -> None:
    """Read the header without the voxels; errors are those of ``nifti.probe``."""
    _checked_header(path, limits)


def is_mgh(head: bytes) -> bool:
    """Whether a file that begins with these bytes is .mgh or unpacked .mgz: version 1, four sizes > 0, a known type."""
    version, *sizes, kind = np.frombuffer(head[:24].ljust(24, b"\xff"), ">i4").tolist()
    return version == 1 and min(sizes) > 0 and 0 <= kind <= 10


def _checked_header(path: Path | str, limits: Limits) -> nib.freesurfer.MGHImage.header_class:
    head = read_head(path, _HEAD)
    if len(head) < _HEAD or not is_mgh(head):
        raise UnreadableScan(path, "is not a FreeSurfer volume (.mgz or .mgh)")
    try:
        header = nib.freesurfer.MGHImage.header_class(head, check=False)
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
    except (HeaderDataError, WrapStructError, KeyError, ValueError) as error:
        raise UnreadableScan(path, "has a damaged FreeSurfer header") from error
    if math.prod(shape[3:]) != 1:
        raise UnsupportedScan(path, f"holds {math.prod(shape[3:])} volumes; store the one to use alone")
    if max(shape[:3]) > limits.side:
        raise TooLarge(path, f"declares {max(shape[:3])} voxels along an axis; the limit is {limits.side}")
    limits.check_bytes(path, math.prod(shape) * max(dtype.itemsize, 4))
    return header
