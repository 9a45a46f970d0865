"""Weights for other inputs than they were trained on: fewer channels, more axes, other grids; once, when loaded."""

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
