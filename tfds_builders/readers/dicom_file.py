"""One DICOM file -> a parsed dataset and its grey frames, within limits."""

import contextlib
import io
import mmap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, apply_rescale, iter_pixels
from pydicom.uid import RLELossless

from tfds_builders.readers import apart
from tfds_builders.readers.api import ScanError, TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import LIMITS, Limits, inflate, open_file

_PREAMBLE = 132
_DEFLATED, _EXPLICIT = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601
_SAMPLES = {  # of each pixel, by photometric interpretation; others, such as HSV, are retired
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_RCT", "YBR_ICT"), 3),
}
_DECODED_TO_RGB = {"RGB", "YBR_RCT", "YBR_ICT"}  # JPEG 2000 decoders turn the latter two back into RGB
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}  # markers that give a size; F7 is JPEG-LS


@contextlib.contextmanager
def guarded(path: Path | str) -> Iterator[None]:
    """Turn whatever the libraries raise on a broken file into an UnreadableScan, and silence their warnings.

    Raises:
      UnreadableScan: the file is damaged. Another ScanError is passed on.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ScanError:
        raise
    except pydicom.errors.InvalidDicomError as error:
        raise UnreadableScan(path, "is not a DICOM file") from error
    except Exception as error:  # pydicom and its decoders raise almost anything on damage
        raise UnreadableScan(path, "is a damaged DICOM file, or in a coding that cannot be read") from error


def parse(path: Path | str, limits: Limits = LIMITS, tags: tuple[str, ...] | None = None) -> pydicom.Dataset:
    """Parse a whole file without decoding its pixels; a deflated file is first unpacked in bounded pieces.

    Args:
      tags: keywords of the elements to keep; None keeps all, with the pixels.

    Raises:
      UnreadableScan, TooLarge.
    """
    with open_file(path) as file, guarded(path):
        head = file.read(_PREAMBLE + 12)
        if head[128:132] != b"DICM":
            raise UnreadableScan(path, "is not a DICOM file")
        meta_end = _PREAMBLE + 12 + int.from_bytes(head[-4:], "little")  # the group's first element is its length
        file.seek(0)
        meta = file.read(min(meta_end, 1 << 20))
        if _DEFLATED in meta:
            with io.BytesIO(_inflated(path, meta, file, limits)) as content:  # which the dataset would keep
                return pydicom.dcmread(content, specific_tags=tags)
        # Mapped, not read from the file: a damaged length of 4 GiB would make pydicom allocate that much first.
        limits.check_bytes(path, Path(path).stat().st_size)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return pydicom.dcmread(content, specific_tags=tags)


def _inflated(path: Path | str, meta: bytes, file: BinaryIO, limits: Limits) -> bytes:
    content = bytearray(meta.replace(_DEFLATED, _EXPLICIT))
    for piece in inflate(path, file, limits):
        content += piece
        limits.check_bytes(path, len(content))
    return bytes(content)


def check(path: Path | str, dataset: pydicom.Dataset, limits: Limits = LIMITS) -> int:
    """The number of frames, after checking that they may be decoded.

    Raises:
      UnsupportedScan: there is no picture, or one in colours of a retired kind. UnreadableScan: it is empty, or has
        more or fewer colours than it says. TooLarge: it is beyond ``limits``.
    """
    with guarded(path):
        if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
            raise UnsupportedScan(path, "is a DICOM file without a picture")
        frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
        limits.check_frame(path, int(dataset.Rows), int(dataset.Columns))
        photometric = str(dataset.get("PhotometricInterpretation", ""))
        if photometric not in _SAMPLES:
            raise UnsupportedScan(path, f"has a photometric interpretation other than {', '.join(_SAMPLES)}")
        if frames < 1 or samples != _SAMPLES[photometric]:
            raise UnreadableScan(
                path, f"declares {frames} frames of {samples} samples in {photometric}; the file is damaged"
            )
        limits.check_count(path, frames)
        return frames


def grey_frames(
    path: Path | str, dataset: pydicom.Dataset, wanted: list[int], limits: Limits = LIMITS
) -> Iterator[np.ndarray]:
    """Decode the ``wanted`` frames, each f32 ``[h w]``: brightness from 0 to 255 of colours, rescaled values of grey.

    Args:
      path: of the file that ``dataset`` was parsed from.

    Raises:
      UnreadableScan, TooLarge.
    """
    with guarded(path):
        photometric = str(dataset.PhotometricInterpretation)
        syntax = dataset.file_meta.TransferSyntaxUID
        if syntax.is_compressed:
            total = int(dataset.get("NumberOfFrames") or 1)
            for index in sorted(set(wanted)):
                _check_codestream(path, get_frame(dataset.PixelData, index, number_of_frames=total), dataset, limits)
        if syntax.is_compressed and syntax != RLELossless:
            frames = iter(apart.call(path, limits, _decoded, path, wanted, limits))
        else:
            frames = iter_pixels(dataset, indices=wanted, raw=True)
        for frame in frames:
            _check_shape(path, frame, dataset, photometric)
            yield _grey(frame, dataset, photometric)


def _decoded(path: Path | str, wanted: list[int], limits: Limits) -> list[np.ndarray]:
    """The frames as their decoder returns them; runs in another process."""
    with guarded(path):
        return [frame.copy() for frame in iter_pixels(parse(path, limits), indices=wanted, raw=True)]


def _check_shape(path: Path | str, frame: np.ndarray, dataset: pydicom.Dataset, photometric: str) -> None:
    wanted = (int(dataset.Rows), int(dataset.Columns), 3)[: 3 if _SAMPLES[photometric] == 3 else 2]
    if frame.shape != wanted:
        sides = ["x".join(map(str, shape)) for shape in (frame.shape, wanted)]
        raise UnreadableScan(path, f"has frames of {sides[0]} numbers, where {photometric} takes {sides[1]}")


def _grey(frame: np.ndarray, dataset: pydicom.Dataset, photometric: str) -> np.ndarray:
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(frame, dataset)
        return (colours.astype(np.float32) @ _LUMA) / (257 if colours.dtype.itemsize == 2 else 1)
    if photometric in _DECODED_TO_RGB:
        return (frame.astype(np.float32) @ _LUMA) * np.float32(255 / (2 ** int(dataset.BitsStored) - 1))
    if photometric.startswith("YBR_PARTIAL"):
        return np.clip((frame[..., 0].astype(np.float32) - 16) * np.float32(255 / 219), 0, 255)
    if photometric.startswith("YBR"):
        return frame[..., 0].astype(np.float32)
    values = np.asarray(apply_rescale(frame, dataset), np.float32)
    if photometric == "MONOCHROME1":
        return 255 - values if int(dataset.BitsStored) == 8 else -values
    return values


def is_colour(dataset: pydicom.Dataset) -> bool:
    """Whether the file has colours, of which :func:`grey_frames` yields brightness from 0 to 255."""
    return not str(dataset.get("PhotometricInterpretation", "")).startswith("MONOCHROME")


def _check_codestream(path: Path | str, stream: bytes, dataset: pydicom.Dataset, limits: Limits) -> None:
    """Refuse a frame that claims to be larger than the header says: decoders allocate whatever it claims."""
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        # Packing adds at most 1/128 to the size, and two packed bytes may become 128.
        raw = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8
        if len(stream) > 1.02 * raw + 1024:
            raise TooLarge(path, f"has a frame packed into {len(stream)} bytes where its pixels take {raw}")
        limits.check_bytes(path, 64 * len(stream))
    size = _declared_size(stream)
    if size and size != (int(dataset.Rows), int(dataset.Columns)):
        raise TooLarge(path, f"has a frame of {size[1]}x{size[0]} pixels where its header says another size")


def _declared_size(stream: bytes) -> tuple[int, int] | None:
    """Height and width that a JPEG, JPEG-LS or JPEG 2000 stream gives itself; None where it does not say."""
    stream = _unboxed(stream)
    if stream[:4] == b"\xff\x4f\xff\x51":  # JPEG 2000: SIZ follows at once
        right, bottom, left, top = (int.from_bytes(stream[8 + 4 * i : 12 + 4 * i], "big") for i in range(4))
        return bottom - top, right - left
    at = 2
    while stream[:2] == b"\xff\xd8" and at + 9 < len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in _JPEG_FRAMES:
            return int.from_bytes(stream[at + 5 : at + 7], "big"), int.from_bytes(stream[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None


def _unboxed(stream: bytes) -> bytes:
    """The codestream in the boxes of a JP2 file (ISO 15444-1, annex I); any other stream as it is."""
    at = 0
    while stream[4:8] == b"jP  " and at + 16 <= len(stream):
        size, head = int.from_bytes(stream[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(stream[at + 8 : at + 16], "big"), 16
        if stream[at + 4 : at + 8] == b"jp2c":
            return stream[at + head :]
        if size < head:  # 0: to the end
            break
        at += size
    return stream
