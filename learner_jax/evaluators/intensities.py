"""How bright the scans of a cohort are and how much they vary, so that scans unlike them are noticed."""

import dataclasses
import math
from typing import Any

import grain
import numpy as np
from jaxtyping import Bool, Float64, Int

from learner_jax.data.pipeline import Reader, read_ahead

_READ_AT_ONCE = 32  # rows
_WIDER = 0.5  # of the width of a range, on either side: a new scan may lie so far outside


def intensities(
    reader: Reader, rows: Int[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
    """Mean and SD of the intensity ``pixel * scale + offset`` of each whole stored scan, and which can be read.

    In float64 and scan by scan on the host, so no batch and no device changes a bit.
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
    """Smallest and largest mean and SD over the scans of a cohort."""

    mean: tuple[float, float]
    sd: tuple[float, float]

    @classmethod
    def of(cls, values: Float64[np.ndarray, "n 2"]) -> "Range":
        """The range of what :func:`intensities` gives; at least one scan."""
        low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        return cls((low[0], high[0]), (low[1], high[1]))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Range":
        """Of what :func:`dataclasses.asdict` gave, as JSON has it."""
        return cls(tuple(values["mean"]), tuple(values["sd"]))

    def unlike(self, mean: float, sd: float) -> str:
        """Why a scan is unlike the cohort: mean or SD beyond its range widened by half its width on either side.

        Empty where it is not.
        """
        least, most = self.widened
        names = ("mean", "SD")
        for value, (low, high), *taken, name in zip((mean, sd), (self.mean, self.sd), least, most, names, strict=True):
            if not taken[0] <= value <= taken[1]:
                return (
                    f"its {name} intensity is {value:.3g}, and those of the training scans lie from {low:.3g} to "
                    f"{high:.3g} (taken are {max(0.0, taken[0]):.3g} to {taken[1]:.3g})"
                )
        return ""

    @property
    def widened(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The least and the most (mean, SD) that a scan like the cohort may have."""
        more = [_WIDER * (high - low) for low, high in (self.mean, self.sd)]
        least = (self.mean[0] - more[0], self.sd[0] - more[1])
        return least, (self.mean[1] + more[0], self.sd[1] + more[1])
