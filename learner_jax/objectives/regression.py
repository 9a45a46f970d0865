"""Regression of the score from a single scan: the baseline that the paper pretrains against."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Objective, apply_dense, dense, objectives


def squared_error(head: dict, u: Float[Array, "b d"], batch: Batch) -> jax.Array:
    """``mean_i (w·u_i + b - y_i)²`` over the labeled rows; 0 when there is none.

    Args:
      head: dense layer ``d -> 1``.
      u: embeddings.
      batch: with scores ``y`` standardised on training patients.
    """
    predicted = apply_dense(head, u.astype(jnp.float32))[:, 0]
    error = jnp.where(batch.labeled, predicted - jnp.nan_to_num(batch.score), 0.0)
    return jnp.square(error).sum() / jnp.maximum(batch.labeled.sum(), 1)


@objectives.register("mse")
def mse(config: ObjectiveConfig, mesh: Mesh) -> Objective:
    """Mean squared error of a linear head on ``u``."""

    def init(rng: jax.Array, dim: int) -> tuple[dict, dict]:
        return {"head": dense(rng, dim, 1)}, {}

    def loss(params, state, z, u, batch, rng):
        value = squared_error(params["head"], u, batch)
        return value, {"mse": value}, state

    return Objective(init, loss)
