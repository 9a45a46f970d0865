"""The newest rows of earlier steps, which anchors are compared with too: many comparisons with a small batch.

He et al., MoCo, arXiv 1911.05722, without its momentum encoder: if the learning rate is low enough for the encoder to
change little from step to step, old projections stay comparable (Wang et al., Cross-Batch Memory, arXiv 1912.06798).
"""

import dataclasses

import jax
import jax.numpy as jnp

from learner_jax.objectives.api import Projected
from learner_jax.objectives.heads import Params


def empty(size: int, projection: int) -> Params:
    """State of a queue of ``size`` rows, none of them real yet."""
    none, zero, false = jnp.zeros(size), jnp.zeros(size, jnp.int32), jnp.zeros(size, bool)
    rows = Projected(jnp.zeros((size, projection)), none, none, zero, zero, zero, false, false)
    return {"queue": dataclasses.asdict(rows)}


def rows(state: Params) -> Projected | None:
    """The queue's rows; None for an objective without a queue."""
    if not state:
        return None
    queue = Projected(**state["queue"])
    # negative, as no row of the batch has
    return dataclasses.replace(queue, index=-1 - jnp.arange(len(queue.index), dtype=jnp.int32))


def push(state: Params, new: Projected) -> Params:
    """The state with the batch's rows added in front and the oldest dropped; masked rows are not kept."""
    if not state:
        return state

    def put(fresh: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.concatenate([jax.lax.stop_gradient(fresh).astype(old.dtype), old])

    both = jax.tree.map(put, dataclasses.asdict(new), state["queue"])
    real_first = jnp.argsort(~both["mask"], stable=True)[: len(state["queue"]["mask"])]
    return {"queue": jax.tree.map(lambda x: x[real_first], both)}
