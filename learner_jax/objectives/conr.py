"""ConR: push apart rows that a regression wrongly predicts to be similar."""

import jax
import jax.numpy as jnp

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, log_sum_exp, others, score_distance, similarity
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise, predicted_score, score_head


@pairwise("conr", compares="u", temperature=0.2, regularises=True, init=score_head, predict=predicted_score)
def conr(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Rows of similar scores attract; rows of other scores for which the regression predicts similar ones repel.

    Add it to a regression (``mse+conr``), whose head it reads. No gradient flows through the choice of the pairs.

    Formula:
      mean_i -1/|P(i)| sum_{p in P(i)} log [ exp(s_ip) / Z_i ]
      Z_i = sum_{p in P(i)} exp(s_ip) + sum_{n in N(i)} exp(conr_push · d_in) exp(s_in)
      s = cos(u_i, u_j) / τ, d = |y_i - y_j|;  P(i): d <= similar;  N(i): d > similar and |ŷ_i - ŷ_j| <= similar
      0 for anchors without a row in N(i) or in P(i)

    Source:
      Keramati, Meng, Evans, ICLR 2024, arXiv 2309.06651. Unlike the published code, which adds exp(0) to the
      denominator for each row that is not a positive, this follows the paper's formula.
    """
    real, d = others(anchors, everyone), score_distance(anchors, everyone)
    guess = jax.lax.stop_gradient(jnp.abs(anchors.prediction[:, None] - everyone.prediction[None]))
    alike = real & (d <= config.similar)
    confused = real & (d > config.similar) & (guess <= config.similar)
    logits = similarity(anchors.unit, everyone.unit) / shared.temperature
    pushed = log_sum_exp(logits + jnp.where(confused, config.conr_push * d, 0), alike | confused)
    count = alike.sum(1, dtype=logits.dtype)
    pulled = jnp.where(alike, logits, 0).sum(1) / jnp.maximum(count, 1)
    counted = confused.any(1) & (count > 0)
    return jnp.where(counted, pushed - pulled, 0), anchors.labeled.astype(logits.dtype)
