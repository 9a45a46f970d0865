"""Batch: what a step sees of the scans, and the only place where axis letters and field shapes are defined.

Axis letters: ``b`` batch, ``t`` time or depth, ``h`` height, ``w`` width, ``c`` channels, ``d`` embedding, ``n``
anything that is counted once for a whole cohort.
"""

import dataclasses

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped

from learner_jax.pytree import array_tree

Array = jax.Array | np.ndarray


@array_tree
class Batch:
    """Scans of one step, in the order of the stream. Rows whose ``mask`` is False pad the batch and change nothing."""

    scan: Shaped[Array, "b t h w c"]  # as stored: uint8, uint16 or float16
    scale: Float32[Array, " b"]  # intensity = scan * scale + offset, between 0 and 1
    offset: Float32[Array, " b"]
    score: Float32[Array, " b"]  # standardised on training patients; NaN: unlabeled
    patient: Int32[Array, " b"]  # these four index the cohort's patients, views and sites
    visit: Int32[Array, " b"]
    view: Int32[Array, " b"]
    site: Int32[Array, " b"]
    row: Int32[Array, " b"]  # row of the cohort table
    time_days: Float32[Array, " b"]
    mask: Bool[Array, " b"]

    @property
    def labeled(self) -> Bool[Array, " b"]:
        """Rows that are real and carry a score."""
        return self.mask & ~(self.score != self.score)


@dataclasses.dataclass(frozen=True)
class BatchSpec:
    """What a backbone needs to know of the batches to come: shape of one scan and the number of rows."""

    b: int
    t: int
    h: int
    w: int
    c: int

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        return self.b, self.t, self.h, self.w, self.c
