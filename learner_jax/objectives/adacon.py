"""AdaCon: a margin that grows with the difference of the scores."""

import jax.numpy as jnp

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, log_sum_exp, others, score_distance, similarity
from learner_jax.objectives.ordinal import score_bin
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


@pairwise("adacon", temperature=1 / 150)
def adacon(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Like supcon, but rows of other bins are pushed away by a margin that grows with the difference of the scores.

    Formula:
      mean_i -1/|P(i)| sum_{p in P(i)} log [ exp(c_ip / τ) / sum_{a != i} exp((c_ia + m_ia) / τ) ];  c = cos(z_i, z_j)
      m_ia = 0 in i's bin, else min(adacon_margin · |y_i - y_a|, 2)

    Source:
      Dai et al., IEEE TMI 41 (2022) 1255, arXiv 2112.11700, with the scale 1/τ = 150 and the margin 0.2 of its code;
      bins stand for its discrete labels.
    """
    real = others(anchors, everyone)
    alike = real & (score_bin(config, anchors.score)[:, None] == score_bin(config, everyone.score)[None])
    cosine = similarity(anchors.unit, everyone.unit)
    margin = jnp.minimum(config.adacon_margin * score_distance(anchors, everyone), 2)
    pushed = log_sum_exp((cosine + jnp.where(alike, 0, margin)) / shared.temperature, real)
    count = alike.sum(1, dtype=cosine.dtype)
    pulled = jnp.where(alike, cosine, 0).sum(1) / jnp.maximum(count, 1) / shared.temperature
    weight = (count > 0).astype(cosine.dtype)
    return weight * (pushed - pulled), weight
