"""The trail of a run: one number that identifies which rows it has seen, in which steps and places."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32, UInt32

START = 2166136261


def follow(trail: UInt32[Array, ""], row: Int32[Array, " b"], mask: Bool[Array, " b"]) -> UInt32[Array, ""]:
    """The trail after a step on these rows of the cohort.

    ``31 trail + sum of mix(row, place)`` in integers modulo 2^32: exact for any number of devices, and different for
    another row, place or step, except by one chance in four billion. Two runs with equal trails have trained on the
    same scans in the same order, with none lost and none repeated.

    Args:
      trail: before the step; ``START`` at step 0.
      row: of the global batch.
      mask: False for rows that pad the batch.
    """
    place = jnp.arange(len(row), dtype=jnp.uint32)
    mixed = (row.astype(jnp.uint32) + 1) * jnp.uint32(0x9E3779B1) + (place + 1) * jnp.uint32(0x85EBCA77)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x2C1B3C6D)  # the finisher of MurmurHash, shortened
    mixed = (mixed ^ (mixed >> 12)) * jnp.uint32(0x297A2D39)
    return trail * jnp.uint32(31) + jnp.where(mask, mixed ^ (mixed >> 15), 0).sum(dtype=jnp.uint32)
