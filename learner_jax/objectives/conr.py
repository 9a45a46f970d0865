"""ConR: push apart what a regression wrongly takes for alike."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, log_sum_exp, others, score_distance, similarity
from learner_jax.objectives.parts import Shared, pairwise, predicted_score, score_head


@pairwise("conr", compares="u", temperature=0.2, regularises=True, init=score_head, predict=predicted_score)
def conr(
    config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Rows of alike scores attract; rows of other scores that the regression takes for alike are pushed away.

    Add it to a regression (``mse+conr``), whose head it looks at. No gradient flows through the choice of the pairs.

    Formula:
      mean_i -1/|P(i)| sum_{p in P(i)} log [ exp(s_ip) / Z_i ]
      Z_i = sum_{p in P(i)} exp(s_ip) + sum_{n in N(i)} exp(conr_push · d_in) exp(s_in)
      s = cos(u_i, u_j) / τ, d = |y_i - y_j|;  P(i): d <= similar;  N(i): d > similar and |ŷ_i - ŷ_j| <= similar
      0 for anchors without a row in N(i) or in P(i)

    Source:
      Keramati, Meng, Evans, ICLR 2024, arXiv 2309.06651. Its published code adds exp(0) to the denominator for each row
      that is no positive; the paper's formula does not, nor does this.
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
