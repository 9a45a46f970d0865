"""Batch: what a step sees of the scans, and the only place where axis letters and field shapes are defined.

Axis letters: ``b`` batch, ``t`` time or depth, ``h`` height, ``w`` width, ``c`` channels, ``d`` embedding, ``n``
anything that is counted once for a whole cohort.
"""

import dataclasses

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped

Array = jax.Array | np.ndarray


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True)
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

    # JAX rebuilds trees around things that are not arrays (shardings, shapes), so unflattening skips __init__ and with
    # it the shape checks of the tests.
    def tree_flatten_with_keys(self):
        names = [field.name for field in dataclasses.fields(self)]
        return [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in names], None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        batch = object.__new__(cls)
        for field, leaf in zip(dataclasses.fields(cls), leaves, strict=True):
            object.__setattr__(batch, field.name, leaf)
        return batch


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
