"""What readers return, and how they fail."""

import dataclasses
from pathlib import Path

import numpy as np

from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class Reading:
    """The grey pixels of one file and their spacing; nothing else of its header is kept."""

    pixels: np.ndarray  # uint8 [t h w 1]
    spacing: np.ndarray  # f32 [3]: between frames in s or slices in mm, rows in mm, columns in mm; NaN unknown
    aspect: float = 1.0  # width of a pixel over its height, where its size in mm is unknown


@dataclasses.dataclass(frozen=True)
class Volume:
    """The grey voxels of one volume in the order of its file, and where they lie."""

    voxels: np.ndarray  # [i j k], with slope and intercept applied
    affine: np.ndarray  # f64 [4 4]: voxel index -> mm in RAS+


class ScanError(InputError):
    """One scan cannot be used.

    Args:
      path: of the scan; shown on the terminal alone.
      reason: the rest of the sentence. The build report carries it out of the source, so it may contain our own words
        and numbers, but no file name and no text from a header.
    """

    def __init__(self, path: Path | str, reason: str):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


class UnreadableScan(ScanError):
    """The file is missing, damaged, cut off, or of a kind this reader does not know."""


class TooLarge(ScanError):
    """The file would take more memory than the limits allow; raised before the memory is taken."""


class UnsupportedScan(ScanError):
    """The file is sound, but holds something that is not one scan."""


def evenly(total: int, wanted: int) -> np.ndarray:
    """Indices i64 ``[wanted]``, evenly spread over ``0 … total - 1`` with both ends; they repeat if ``total < wanted``.

    A single index is the middle one.
    """
    if wanted == 1:
        return np.array([(total - 1) // 2])
    return np.floor(np.linspace(0, total - 1, wanted) + 0.5).astype(np.int64)


def open_error(path: Path | str, error: OSError) -> UnreadableScan:
    """The error for a file that the operating system refuses to open."""
    return UnreadableScan(path, f"cannot be opened: {error.strerror or error}")
