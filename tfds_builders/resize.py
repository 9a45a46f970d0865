"""Frames of any size -> squares of one size, without distorting what they show."""

import numpy as np
from PIL import Image


def fit(pixels: np.ndarray, size: int, spacing: np.ndarray, aspect: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scale frames to fit into a square, keeping their physical aspect ratio, and centre them on black.

    The filter is Pillow's BILINEAR, a triangle as wide as the reduction, so fine texture is averaged, not skipped.

    Args:
      pixels: uint8 ``[t h w 1]``.
      size: height and width of the result, in pixels.
      spacing: f32 ``[3]`` as in a record; where that of rows or columns is NaN, ``aspect`` is used instead.
      aspect: width of a pixel over its height.

    Returns:
      uint8 ``[t size size 1]``, and its spacing f32 ``[3]``.
    """
    _, height, width, _ = pixels.shape
    row, column = (spacing[1], spacing[2]) if np.isfinite(spacing[1:]).all() else (1.0, aspect)
    longest = max(height * row, width * column)
    new_height = min(size, max(1, round(size * height * row / longest)))
    new_width = min(size, max(1, round(size * width * column / longest)))
    top, left = (size - new_height) // 2, (size - new_width) // 2
    out = np.zeros((len(pixels), size, size, 1), np.uint8)
    for i, frame in enumerate(pixels[..., 0]):
        small = Image.fromarray(frame).resize((new_width, new_height), Image.Resampling.BILINEAR)
        out[i, top : top + new_height, left : left + new_width, 0] = np.asarray(small)
    changed = np.array([1.0, height / new_height, width / new_width])
    return out, (spacing * changed).astype(np.float32)
