"""Adapt weights, when they are loaded, to inputs they were not trained on: fewer channels, more axes, other grids."""

import math

import numpy as np
from jaxtyping import Float


def fold_stem(
    kernel: Float[np.ndarray, "*space rgb d"],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> tuple[Float[np.ndarray, "*space 1 d"], Float[np.ndarray, " d"]]:
    """Fold a first kernel over RGB into one over grey.

    A grey picture ``g`` shown to an RGB net has ``(g - mean_c) / std_c`` in channel ``c``. The folded kernel takes
    ``(g - m) / s`` with ``m`` and ``s`` the averages over channels:

        ``sum_c K_c (g - mean_c) / std_c = K (g - m) / s + k``
        ``K = sum_c K_c s / std_c``, ``k = sum_c K_c (m - mean_c) / std_c``

    Args:
      kernel: of the RGB net.
      mean, std: by channel, with which the net was trained.

    Returns:
      ``K``, and ``k``, the constant to add to every output. If mean and std are equal over channels, ``k`` is 0 and the
      fold is exact. Otherwise it is exact except at the border: zero padding is not part of the picture, so outputs
      whose window reaches over it should only get a part of ``k``.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    kernel64 = kernel.astype(np.float64)
    folded = np.einsum("...cd,c->...d", kernel64, std.mean() / std)[..., None, :]
    offset = np.einsum("...cd,c->...d", kernel64, (mean.mean() - mean) / std)
    return folded.astype(kernel.dtype), offset.reshape(-1, kernel.shape[-1]).sum(0).astype(kernel.dtype)


def inflate(kernel: Float[np.ndarray, "kh kw c d"], frames: int) -> Float[np.ndarray, "kt kh kw c d"]:
    """Inflate a kernel over pictures to one over ``frames`` frames: repeated, and divided by their number.

    For a still video it gives what the picture gave. Carreira and Zisserman (I3D), arXiv 1705.07750.
    """
    return np.repeat(kernel[None], frames, 0) / np.asarray(frames, kernel.dtype)


def resize_positions(table: Float[np.ndarray, "*one n d"], grid: tuple[int, ...]) -> Float[np.ndarray, "*grid d"]:
    """Resize embeddings of positions to another grid of patches.

    The ``n`` positions are taken row by row for those of a square (for three axes, of a cube) or, if ``n`` does not fit
    one, of ``grid`` itself: 64 for 1x8x8 are of 4x4x4. A table that fits neither is returned unchanged, for the caller
    to refuse by its shape.
    """
    table = table.reshape(-1, table.shape[-1])
    side = round(len(table) ** (1 / len(grid)))
    old = (side,) * len(grid) if side ** len(grid) == len(table) else grid
    return resize(table.reshape(*old, -1), grid) if math.prod(old) == len(table) else table


def resize(values: Float[np.ndarray, "*old d"], grid: tuple[int, ...]) -> Float[np.ndarray, "*grid d"]:
    """Cubic interpolation along each axis but the last: Keys' kernel with ``a = -1/2``, pixel centres at halves.

    Where an axis gets shorter, the kernel is stretched to the width that a new value covers (antialiasing). Beyond the
    border it is cut off and rescaled to sum to 1. This is PyTorch's ``F.interpolate`` with ``mode="bicubic",
    antialias=True``, which timm uses; the third axis for volumes is our extension. Keys (1981), doi
    10.1109/TASSP.1981.1163711.
    """
    resized = values.astype(np.float64)
    for axis, size in enumerate(grid):
        if resized.shape[axis] != size:
            resized = np.moveaxis(np.tensordot(_cubic(resized.shape[axis], size), resized, (1, axis)), 0, axis)
    return resized.astype(values.dtype)


def _cubic(old: int, new: int) -> Float[np.ndarray, "new old"]:
    stretch = max(old / new, 1.0)
    centre = (np.arange(new)[:, None] + 0.5) * old / new - 0.5
    x = np.abs(np.arange(old)[None] - centre) / stretch
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weight = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return weight / weight.sum(1, keepdims=True)


def resize_linear(values: Float[np.ndarray, "old d"], size: int) -> Float[np.ndarray, "new d"]:
    """Linear interpolation along the first axis, with centres at halves and constant beyond the outermost two.

    This is PyTorch's ``F.interpolate`` with ``mode="linear"``, by which MViTv2 resizes its relative positions.
    """
    if len(values) == size:
        return values
    place = (np.arange(size) + 0.5) * len(values) / size - 0.5
    columns = [np.interp(place, np.arange(len(values)), column) for column in values.astype(np.float64).T]
    return np.stack(columns, axis=-1).astype(values.dtype)


def resize_bias(table: Float[np.ndarray, "n heads"], shape: tuple[int, ...]) -> Float[np.ndarray, "*sides heads"]:
    """Resize the biases of distances in a window, ``n = (2 t - 1) (2 h - 1) (2 w - 1)``, to windows of another length.

    Height and width of the window must be those of ``shape``. The table of a 2-D window (``n = (2 h - 1) (2 w - 1)``)
    gives all distances in time the same bias, as Video Swin does with weights of Swin (arXiv 2106.13230). A table of
    another window or number of heads is returned unchanged, for the caller to refuse by its shape.
    """
    frame = math.prod(shape[1:-1])
    fits = len(table) % frame == 0 and table.shape[-1] == shape[-1]
    return resize(table.reshape(-1, *shape[1:]), shape[:-1]) if fits else table
