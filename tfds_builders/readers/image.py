"""Pictures (PNG, JPEG, TIFF, BMP) -> one grey frame."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tfds_builders.readers.api import Reading, TooLarge, UnreadableScan, UnsupportedScan
from tfds_builders.readers.limits import LIMITS, Limits, open_file

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")
_PHOTOMETRIC = 262  # of a TIFF; 0: white is zero
_DEEP = ("I;16", "I;16B", "I;16L", "I", "F")  # modes of more than 8 bits


def read(path: Path | str, limits: Limits = LIMITS) -> Reading:
    """Read a still picture, turned upright as its EXIF tag says.

    Colours become brightness (ITU-R 601), and transparency is ignored. Pictures of more than 8 bits are stretched from
    their smallest to their largest value.

    Returns:
      ``pixels`` uint8 ``[1 h w 1]``; the spacing is unknown.

    Raises:
      UnreadableScan: not a picture, damaged or cut off.
      UnsupportedScan: several pages, one even grey, or pixels that are no numbers.
      TooLarge: beyond ``limits``.
    """
    with _open(path, limits) as picture:
        try:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
        except Exception as error:
            raise UnreadableScan(path, "is damaged or cut off") from error
        deep = upright.mode in _DEEP
        grey = np.asarray(upright, np.float32) if deep else np.asarray(_opaque(upright))
        if deep and getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # of 8 bits, Pillow sees to it
            grey = -grey
    low, high = grey.min(), grey.max()
    if not np.isfinite([low, high]).all():  # a NaN among the pixels is passed on by both
        raise UnsupportedScan(path, "has pixels that are no numbers")
    if not high > low:
        raise UnsupportedScan(path, "is one even grey")
    if deep:
        grey = np.rint((grey - low) * (255 / (high - low))).astype(np.uint8)
    return Reading(grey[None, :, :, None], np.full(3, np.nan, np.float32))


def probe(path: Path | str, limits: Limits = LIMITS) -> None:
    """Read the header without decoding pixels.

    Raises:
      UnreadableScan, UnsupportedScan, TooLarge: as :func:`read`.
    """
    with _open(path, limits):
        pass


def is_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes has one of the formats read here."""
    return head.startswith(_SIGNATURES)


@contextlib.contextmanager
def _open(path: Path | str, limits: Limits) -> Iterator[Image.Image]:
    with open_file(path) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about sizes and odd tags; our own limits are checked below
                picture = Image.open(file, formats=_FORMATS)
                pages = getattr(picture, "n_frames", 1)
        except Image.DecompressionBombError as error:
            raise TooLarge(path, f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
        except Exception as error:  # Pillow raises almost anything on damage, even TypeError for a TIFF without a size
            raise UnreadableScan(path, "is not a picture that can be read (png, jpeg, tiff, bmp)") from error
        with picture:
            limits.check_frame(path, picture.height, picture.width)
            if pages > 1:
                raise UnsupportedScan(path, f"holds {pages} pages; store the one to use alone")
            yield picture


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode in ("L", "RGB"):
        return picture.convert("L")
    return picture.convert("RGB").convert("L")  # a palette, transparency, other colour spaces
