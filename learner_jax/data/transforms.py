"""Stored scan -> the frames and the size that a backbone sees, on the host.

Each transform is a frozen dataclass, called with one scan ``[t h w c]`` and a source of random words (None in
evaluation, which is not random), and keeps the stored dtype. Random changes of pixels happen on the device, in
``augment/``.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Int

from learner_jax.config import DataConfig
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta


@dataclasses.dataclass(frozen=True)
class SampleFrames:
    """``[t h w c] -> [frames h w c]``.

    With ``jitter``, for moments in time: evenly spaced frames at one interval, in training from a random start.
    Without, for the slices of a volume: always those nearest to an even division of the whole depth.
    """

    frames: int
    jitter: bool

    def __call__(self, scan: np.ndarray, rng: np.random.BitGenerator | None) -> np.ndarray:
        return scan[self.pick(len(scan), rng)]

    def pick(self, stored: int, rng: np.random.BitGenerator | None) -> Int[np.ndarray, " frames"]:
        """Indices of the chosen frames among ``stored`` ones."""
        places = np.arange(self.frames)
        if not self.jitter:
            return -(-((2 * places + 1) * stored - 2 * self.frames) // (2 * self.frames))  # ceil((i + 1/2) t / n - 1)
        stride = stored // self.frames
        slack = stored - stride * (self.frames - 1)
        return stride * places + (int(rng.random_raw() % slack) if rng is not None else (slack - 1) // 2)


@dataclasses.dataclass(frozen=True)
class Fit:
    """``[t h w c] -> [t size size c]``: scaled so that the longer side is ``size``, then padded with black to a square.

    The filter is the antialiased triangle of ``jax.image.resize(…, 'linear')``. The result for a frame does not depend
    on the other frames, to the bit, so scaling before or after choosing frames is the same.
    """

    size: int

    def __call__(self, scan: np.ndarray, rng: np.random.BitGenerator | None) -> np.ndarray:
        t, height, width, c = scan.shape
        h, w = fitted_size(height, width, self.size)
        if (h, w) != (height, width):
            # a product for each frame and channel: in einsum, a frame's last bits depended on the others (2026-11)
            planes = np.moveaxis(scan, -1, 1).astype(np.float32, order="C")
            smaller = np.moveaxis(resampling(height, h) @ planes @ resampling(width, w).T, 1, -1)
            scan = np.rint(smaller).astype(scan.dtype) if scan.dtype.kind == "u" else smaller.astype(scan.dtype)
        if h == w:
            return scan
        top, left = (self.size - h) // 2, (self.size - w) // 2
        square = np.zeros((t, self.size, self.size, c), scan.dtype)
        square[:, top : top + h, left : left + w] = scan
        return square


def fitted_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width after scaling a picture so that its longer side is ``size``."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


@functools.cache
def resampling(n_in: int, n_out: int) -> np.ndarray:
    """The resampling matrix, f32 ``[n_out n_in]``, whose rows sum to 1."""
    scale = n_in / n_out
    centre = (np.arange(n_out)[:, None] + 0.5) * scale - 0.5
    weight = np.maximum(0, 1 - np.abs(np.arange(n_in)[None] - centre) / max(scale, 1.0))
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def for_backbone(config: DataConfig, meta: DatasetMeta) -> tuple[SampleFrames, Fit]:
    """The transforms between this dataset's records and ``data.frames`` × ``data.size``².

    Raises:
      InputError: more frames or pixels are asked for than the dataset stores.
    """
    t, h, w, _ = meta.scan_shape
    for field, asked, stored, what in (
        ("frames", config.frames, t, f"{t} frames a scan"),
        ("size", config.size, max(h, w), f"{h}x{w} pixels"),
    ):
        if asked > stored:
            raise InputError(
                f"the dataset stores {what} and --config.data.{field} asks for {asked}; set it to {stored} or fewer, "
                f"or build the dataset again with more (python -m tfds_builders.build {meta.name} --help)"
            )
    return SampleFrames(config.frames, jitter=meta.axis0 == "time"), Fit(config.size)
