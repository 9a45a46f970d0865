"""Weights for other inputs than they were trained on: fewer channels, more axes, other grids; once, when loaded."""

import math

import numpy as np
from jaxtyping import Float


def fold_stem(
    kernel: Float[np.ndarray, "*space rgb d"],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> tuple[Float[np.ndarray, "*space 1 d"], Float[np.ndarray, " d"]]:
    """A first kernel over RGB as one over grey.

    A grey picture ``g`` shown to an RGB net has ``(g - mean_c) / std_c`` in channel ``c``. The folded kernel takes
    ``(g - m) / s`` with ``m`` and ``s`` the averages over channels:

        ``sum_c K_c (g - mean_c) / std_c = K (g - m) / s + k``
        ``K = sum_c K_c s / std_c``, ``k = sum_c K_c (m - mean_c) / std_c``

    Returns:
      (``K``, ``k``: the constant to add to every output). Zero padding is outside of the picture and not grey, so where
      means differ between channels the outputs whose window reaches over the border differ by their missing part of
      ``k``; where mean and std are equal over channels ``k`` is 0 and the fold is exact everywhere.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    kernel64 = kernel.astype(np.float64)
    folded = np.einsum("...cd,c->...d", kernel64, std.mean() / std)[..., None, :]
    offset = np.einsum("...cd,c->...d", kernel64, (mean.mean() - mean) / std)
    return folded.astype(kernel.dtype), offset.reshape(-1, kernel.shape[-1]).sum(0).astype(kernel.dtype)


def inflate(kernel: Float[np.ndarray, "kh kw c d"], frames: int) -> Float[np.ndarray, "kt kh kw c d"]:
    """A kernel over pictures as one over ``frames`` of them: a still video gives what the picture gave.

    Carreira and Zisserman (I3D), arXiv 1705.07750: repeated and divided by the number of frames.
    """
    return np.repeat(kernel[None], frames, 0) / np.asarray(frames, kernel.dtype)


def resize_positions(table: Float[np.ndarray, "*one n d"], grid: tuple[int, ...]) -> Float[np.ndarray, "*grid d"]:
    """Embeddings of positions for another grid of patches.

    ``n`` positions lie row by row on a square (a cube, for three axes), or on ``grid`` itself where ``n`` is no square;
    a table that is neither comes back as it is, and its shape tells.
    """
    table = table.reshape(-1, table.shape[-1])
    side = round(len(table) ** (1 / len(grid)))
    old = (side,) * len(grid) if side ** len(grid) == len(table) else grid
    return resize(table.reshape(*old, -1), grid) if math.prod(old) == len(table) else table


def resize(values: Float[np.ndarray, "*old d"], grid: tuple[int, ...]) -> Float[np.ndarray, "*grid d"]:
    """Cubic interpolation along each axis but the last: Keys' kernel with ``a = -1/2``, pixel centres at halves.

    Where an axis gets shorter the kernel is stretched over what one new value stands for (antialiasing). A kernel that
    reaches over the border is cut there and its weights are scaled to 1 again. This is ``F.interpolate`` of PyTorch
    with ``mode="bicubic", antialias=True``, by which timm resizes; over volumes it is our reading, one axis more.
    Keys (1981), doi 10.1109/TASSP.1981.1163711.
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
    """Linear interpolation along the first axis, centres at halves, constant beyond the outermost two.

    This is ``F.interpolate`` of PyTorch with ``mode="linear"``, by which MViTv2 resizes its relative positions.
    """
    if len(values) == size:
        return values
    place = (np.arange(size) + 0.5) * len(values) / size - 0.5
    columns = [np.interp(place, np.arange(len(values)), column) for column in values.astype(np.float64).T]
    return np.stack(columns, axis=-1).astype(values.dtype)


def resize_bias(table: Float[np.ndarray, "n heads"], shape: tuple[int, ...]) -> Float[np.ndarray, "*sides heads"]:
    """Biases of the distances in a window, ``n = (2 t - 1) (2 h - 1) (2 w - 1)``, for windows of another length.

    The window has the height and width that ``shape`` asks for; one of a picture (``n = (2 h - 1) (2 w - 1)``) gives
    every distance in time the same bias, as Video Swin starts from Swin (arXiv 2106.13230). A table of another window
    or other heads comes back as it is, and its shape tells.
    """
    frame = math.prod(shape[1:-1])
    fits = len(table) % frame == 0 and table.shape[-1] == shape[-1]
    return resize(table.reshape(-1, *shape[1:]), shape[:-1]) if fits else table
