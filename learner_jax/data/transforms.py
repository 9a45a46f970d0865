"""From a stored scan to the frames and size that a backbone sees, on the host.

Each transform is a frozen dataclass, called with one scan ``[t h w c]`` and a source of random words (None:
evaluation, no randomness), and keeps the stored dtype. What is random per pixel happens on the device, in
``augment.py``.
"""

import dataclasses
import functools

import numpy as np

from learner_jax.config import DataConfig
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta


@dataclasses.dataclass(frozen=True)
class SampleFrames:
    """``[t h w c] -> [frames h w c]``: evenly spaced; in training from a random start, evenly spaced all the same.

    A volume's slices are a place and not a moment, so ``jitter`` is off for them.
    """

    frames: int
    jitter: bool

    def __call__(self, scan: np.ndarray, rng: np.random.BitGenerator | None) -> np.ndarray:
        stride = len(scan) // self.frames
        slack = len(scan) - stride * (self.frames - 1)
        start = int(rng.random_raw() % slack) if rng is not None and self.jitter else (slack - 1) // 2
        return scan[start : start + stride * self.frames : stride]


@dataclasses.dataclass(frozen=True)
class Resize:
    """``[t h w c] -> [t size size c]``, with the antialiased triangle filter of ``jax.image.resize(…, 'linear')``."""

    size: int

    def __call__(self, scan: np.ndarray, rng: np.random.BitGenerator | None) -> np.ndarray:
        _, height, width, _ = scan.shape
        if (height, width) == (self.size, self.size):
            return scan
        smaller = np.einsum(
            "ih,thwc,jw->tijc", _weights(height, self.size), scan, _weights(width, self.size), optimize=True
        )
        return np.rint(smaller).astype(scan.dtype) if scan.dtype.kind == "u" else smaller.astype(scan.dtype)


@functools.cache
def _weights(n_in: int, n_out: int) -> np.ndarray:
    """Rows of the resampling matrix f32 ``[n_out n_in]``; each sums to 1."""
    scale = n_in / n_out
    centre = (np.arange(n_out)[:, None] + 0.5) * scale - 0.5
    weight = np.maximum(0, 1 - np.abs(np.arange(n_in)[None] - centre) / max(scale, 1.0))
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def for_backbone(config: DataConfig, meta: DatasetMeta) -> tuple[SampleFrames, Resize]:
    """The transforms between this dataset's records and ``data.frames`` × ``data.size``².

    Raises:
      InputError: when more frames or pixels are asked for than the dataset stores.
    """
    t, h, w, _ = meta.scan_shape
    if config.frames > t:
        raise InputError(
            f"the dataset stores {t} frames a scan and --config.data.frames asks for {config.frames}; "
            f"set it to {t} or fewer, or build again with --frames={config.frames}"
        )
    if config.size > min(h, w):
        raise InputError(
            f"the dataset stores {h}x{w} pixels and --config.data.size asks for {config.size}; "
            f"set it to {min(h, w)} or fewer, or build again with --size={config.size}"
        )
    return SampleFrames(config.frames, jitter=meta.axis0 == "time"), Resize(config.size)
