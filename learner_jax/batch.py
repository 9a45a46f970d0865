"""Batch: what a step sees of the scans, and the only place where axis letters and field shapes are defined.

Axis letters: ``b`` batch, ``t`` time or depth, ``h`` height, ``w`` width, ``c`` channels, ``d`` embedding, ``n``
anything that is counted once for a whole cohort.
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


def draws(row: Int[Array, " b"], xp: Any) -> Int[Array, " b"]:
    """By which number each row of a global batch draws what is random in it: its row of the cohort, or minus its place
    where the batch has held that scan before. So a scan that comes twice is not seen twice alike.

    Args:
      row: of the whole batch, in the order of the stream.
      xp: ``numpy`` or ``jax.numpy``, as ``row`` is.
    """
    order = xp.argsort(row, stable=True)
    first = order[xp.searchsorted(row[order], row)]
    place = xp.arange(len(row), dtype=row.dtype)
    return xp.where(first == place, row, -place)


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


def shapes_of(spec: BatchSpec, stored: Any, place: Any) -> Batch:
    """Shapes, dtypes and places of a batch, without one.

    Args:
      spec: of the global batch.
      stored: dtype of the scans.
      place: sharding of the leading axis.
    """
    one = lambda dtype, *more: np.broadcast_to(np.zeros((), dtype), (spec.b, *more))  # noqa: E731
    numbers = {name: one(np.float32) for name in ("scale", "offset", "score", "time_days")}
    codes = {name: one(np.int32) for name in ("patient", "visit", "view", "site", "row")}
    batch = Batch(scan=one(stored, *spec.shape[1:]), mask=one(np.bool_), **numbers, **codes)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), batch)
