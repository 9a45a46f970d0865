"""How bright the scans of a cohort are and how much they vary, so that scans unlike them can be refused."""

import dataclasses
import math
from typing import Any

import grain
import numpy as np
from jaxtyping import Bool, Float64, Int

from learner_jax.data.pipeline import Reader, read_ahead

_READ_AT_ONCE = 32  # rows
_WIDER = 0.5  # a new scan may lie outside a range by this share of its width, on either side


def intensities(
    reader: Reader, rows: Int[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
    """Mean and SD of the intensity ``pixel * scale + offset`` of each whole stored scan, and whether it can be read.

    Computed in float64 on the host, scan by scan, so neither batches nor devices change a bit.
    """

    def read(chunk: int) -> tuple[np.ndarray, ...]:
        return reader.scans(rows[chunk * _READ_AT_ONCE : (chunk + 1) * _READ_AT_ONCE], lambda _, scan: _moments(scan))

    chunks = grain.MapDataset.range(math.ceil(len(rows) / _READ_AT_ONCE)).map(read)
    found = [(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0, bool)), *read_ahead(chunks, reader.config)]
    moments, scale, offset, readable = (np.concatenate(part) for part in zip(*found, strict=True))
    scale, offset = scale.astype(np.float64), offset.astype(np.float64)
    return np.stack([moments[:, 0] * scale + offset, moments[:, 1] * np.abs(scale)], axis=1), readable


def _moments(scan: np.ndarray) -> Float64[np.ndarray, " 2"]:
    return np.array([scan.mean(dtype=np.float64), scan.std(dtype=np.float64)])


@dataclasses.dataclass(frozen=True)
class Range:
    """The smallest and largest mean, and the smallest and largest SD, over the scans of a cohort."""

    mean: tuple[float, float]
    sd: tuple[float, float]

    @classmethod
    def of(cls, values: Float64[np.ndarray, "n 2"]) -> "Range":
        """The range of means and SDs as :func:`intensities` returns them, of at least one scan."""
        low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        return cls((low[0], high[0]), (low[1], high[1]))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Range":
        """From the JSON values of :func:`dataclasses.asdict`."""
        return cls(tuple(values["mean"]), tuple(values["sd"]))

    def unlike(self, mean: float, sd: float) -> str:
        """Why a scan is unlike the cohort: its mean or SD is outside the :attr:`widened` range. Empty if it is not."""
        least, most = self.widened
        for at, (name, value, (low, high)) in enumerate((("mean", mean, self.mean), ("SD", sd, self.sd))):
            if not least[at] <= value <= most[at]:
                return (
                    f"its {name} intensity is {value:.3g}, and those of the training scans lie from {low:.3g} to "
                    f"{high:.3g} ({max(0.0, least[at]):.3g} to {most[at]:.3g} are accepted)"
                )
        return ""

    @property
    def widened(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Least and greatest (mean, SD) of a scan like the cohort: the range widened by half its width on each side."""
        more = [_WIDER * (high - low) for low, high in (self.mean, self.sd)]
        least = (self.mean[0] - more[0], self.sd[0] - more[1])
        return least, (self.mean[1] + more[0], self.sd[1] + more[1])
