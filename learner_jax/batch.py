"""Batch: what a step sees of the scans, and the only place where axis letters and field shapes are defined.

Axis letters: ``b`` batch, ``t`` time or depth, ``h`` height, ``w`` width, ``c`` channels, ``d`` embedding, ``n``
anything counted over a whole cohort.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int, Int32, Shaped

from learner_jax.pytree import array_tree

Array = jax.Array | np.ndarray


@array_tree
class Batch:
    """The scans of one step, in the order of the stream. Rows whose ``mask`` is False are padding without effect."""

    scan: Shaped[Array, "b t h w c"]  # as stored: uint8, uint16 or float16
    scale: Float32[Array, " b"]  # intensity = scan * scale + offset, between 0 and 1
    offset: Float32[Array, " b"]
    score: Float32[Array, " b"]  # standardised on training patients; NaN: unlabeled
    patient: Int32[Array, " b"]  # index into the cohort's patients; view and site likewise
    visit: Int32[Array, " b"]
    view: Int32[Array, " b"]
    site: Int32[Array, " b"]
    row: Int32[Array, " b"]  # row of the cohort table
    time_days: Float32[Array, " b"]
    mask: Bool[Array, " b"]

    @property
    def labeled(self) -> Bool[Array, " b"]:
        """Rows that are real and carry a score."""
        return self.mask & ~(self.score != self.score)  # NaN differs from itself, in NumPy as in JAX


def draws(row: Int[Array, " b"], xp: Any) -> Int[Array, " b"]:
    """The number from which each row of a global batch derives its randomness.

    It is the row of the cohort or, if the scan occurs earlier in the batch, minus the place in the batch: repeats of a
    scan are sampled and augmented differently.

    Args:
      row: of the whole batch, in the order of the stream.
      xp: ``numpy`` or ``jax.numpy``, whichever ``row`` belongs to.
    """
    order = xp.argsort(row, stable=True)
    first = order[xp.searchsorted(row[order], row)]
    place = xp.arange(len(row), dtype=row.dtype)
    return xp.where(first == place, row, -place)


@dataclasses.dataclass(frozen=True)
class BatchSpec:
    """What a backbone needs to know about its batches: the number of rows and the shape of one scan."""

    b: int
    t: int
    h: int
    w: int
    c: int

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        return self.b, self.t, self.h, self.w, self.c


def shapes_of(spec: BatchSpec, stored: Any, place: Any) -> Batch:
    """A Batch of ``jax.ShapeDtypeStruct``, with shardings.

    Args:
      spec: of the global batch.
      stored: dtype of the scans.
      place: sharding of the leading axis.
    """

    def zeros(dtype: Any, *more: int) -> np.ndarray:  # takes no memory
        return np.broadcast_to(np.zeros((), dtype), (spec.b, *more))

    numbers = {name: zeros(np.float32) for name in ("scale", "offset", "score", "time_days")}
    codes = {name: zeros(np.int32) for name in ("patient", "visit", "view", "site", "row")}
    batch = Batch(scan=zeros(stored, *spec.shape[1:]), mask=zeros(np.bool_), **numbers, **codes)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), batch)
