"""The score cut into bins: as classes without an order, and with one."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.heads import Params, apply_dense, dense
from learner_jax.objectives.parts import LossAndWeight, pointwise


def score_bin(config: ObjectiveConfig, score: Float[Array, " b"]) -> Int[Array, " b"]:
    """Which of ``bins`` equal bins over ±score_range/2 contains a standardised score; the outer ones are open-ended."""
    place = (score / config.score_range + 0.5) * config.bins
    return jnp.clip(jnp.floor(place), 0, config.bins - 1).astype(jnp.int32)


def _bin_head(rng: jax.Array, dim: int, n_patients: int, config: ObjectiveConfig) -> Params:
    return {"bins": dense(rng, dim, config.bins)}


@pointwise("cross_entropy", init=_bin_head)
def cross_entropy(config: ObjectiveConfig, params: Params, u: Float[Array, "b d"], batch: Batch) -> LossAndWeight:
    """A linear head predicts the bin of the score, as if bins had no order.

    Formula:
      mean_i -log softmax(W u_i + b)[bin_i];  ``bins`` equal bins over score_range

    Source:
      The classification baseline of ordinal regression.
    """
    cost = optax.losses.softmax_cross_entropy_with_integer_labels(apply_dense(params["bins"], u), _bins(config, batch))
    return _labeled(cost, batch)


def _threshold_head(rng: jax.Array, dim: int, n_patients: int, config: ObjectiveConfig) -> Params:
    # the thresholds start evenly spaced and in order
    return {"thresholds": {"kernel": dense(rng, dim, 1)["kernel"], "bias": jnp.linspace(1.0, -1.0, config.bins - 1)}}


@pointwise("coral", init=_threshold_head)
def coral(config: ObjectiveConfig, params: Params, u: Float[Array, "b d"], batch: Batch) -> LossAndWeight:
    """One direction and a threshold per bin: is the score above bin k?

    Formula:
      mean_i sum_{k=1}^{bins-1} BCE(sigmoid(w·u_i + b_k), [bin_i >= k])

    Source:
      CORAL: Cao, Mirjalili, Raschka, Pattern Recognition Letters 140 (2020), arXiv 1901.07884.
    """
    head = params["thresholds"]
    logits = u @ head["kernel"] + head["bias"]
    above = _bins(config, batch)[:, None] >= jnp.arange(1, config.bins)
    return _labeled(optax.losses.sigmoid_binary_cross_entropy(logits, above).sum(1), batch)


def _bins(config: ObjectiveConfig, batch: Batch) -> Int[Array, " b"]:
    return score_bin(config, jnp.nan_to_num(batch.score))


def _labeled(cost: Float[Array, " b"], batch: Batch) -> LossAndWeight:
    weight = jnp.asarray(batch.labeled, cost.dtype)
    return weight * cost, weight
