"""SimCLR: what can be learnt without scores."""

import jax.numpy as jnp

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, log_sum_exp, similarity
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


@pairwise("simclr", temperature=0.1, augmentations=2)
def simclr(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Augmented copies of one scan attract each other, all other scans repel; scores are not used.

    Formula:
      mean_i -1/|P(i)| sum_{p in P(i)} log [ exp(s_ip) / sum_{a != i} exp(s_ia) ];  s = cos(z_i, z_j) / τ
      P(i): other augmented copies of i's scan

    Source:
      NT-Xent: Chen et al., ICML 2020, arXiv 2002.05709 (one other copy).
    """
    real = anchors.mask[:, None] & everyone.mask[None] & (anchors.index[:, None] != everyone.index[None])
    copies = real & (anchors.row[:, None] == everyone.row[None])
    logits = similarity(anchors.unit, everyone.unit) / shared.temperature
    count = copies.sum(1, dtype=logits.dtype)
    pulled = jnp.where(copies, logits, 0).sum(1) / jnp.maximum(count, 1)
    weight = (count > 0).astype(logits.dtype)
    return weight * (log_sum_exp(logits, real) - pulled), weight
