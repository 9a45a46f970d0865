"""Regression of the score from a single scan, the baseline for contrastive pretraining."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.heads import Params
from learner_jax.objectives.parts import LossAndWeight, pointwise, predicted_score, score_head


@pointwise("mse", regression=True, init=score_head)
def mse(config: ObjectiveConfig, params: Params, u: Float[Array, "b d"], batch: Batch) -> LossAndWeight:
    """Mean squared error of a linear head on the embedding.

    Formula:
      mean_i (w·u_i + b - y_i)²

    Source:
      The baseline of LEARNER, arXiv 2411.01144.
    """
    return _over_labeled(jnp.square, params, u, batch)


@pointwise("l1", regression=True, init=score_head)
def l1(config: ObjectiveConfig, params: Params, u: Float[Array, "b d"], batch: Batch) -> LossAndWeight:
    """Mean absolute error of a linear head on the embedding.

    Formula:
      mean_i |w·u_i + b - y_i|

    Source:
      Laplace; the regression in the age experiments of Rank-N-Contrast and RankSim.
    """
    return _over_labeled(jnp.abs, params, u, batch)


@pointwise("huber", regression=True, init=score_head)
def huber(config: ObjectiveConfig, params: Params, u: Float[Array, "b d"], batch: Batch) -> LossAndWeight:
    """Squared error for small errors, absolute for large ones.

    Formula:
      mean_i h(w·u_i + b - y_i);  h(e) = e²/2 for |e| <= δ, else δ (|e| - δ/2);  δ = huber_delta

    Source:
      Huber, Ann. Math. Statist. 35 (1964) 73, doi 10.1214/aoms/1177703732.
    """
    return _over_labeled(lambda error: optax.losses.huber_loss(error, delta=config.huber_delta), params, u, batch)


def _over_labeled(cost, params: Params, u: jax.Array, batch: Batch) -> LossAndWeight:
    # an unlabeled row's target is its own prediction: a NaN would survive in the gradient even at weight 0
    predicted = predicted_score(params, u)
    target = jnp.where(batch.labeled, jnp.nan_to_num(batch.score), jax.lax.stop_gradient(predicted))
    weight = jnp.asarray(batch.labeled, u.dtype)
    return weight * cost(predicted - target), weight
