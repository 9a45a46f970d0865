"""Rank-N-Contrast: similarities ordered like the scores."""

import jax.numpy as jnp

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, euclidean, others
from learner_jax.objectives.by_distance import Ordered, order_by_score, sum_of_logs
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


@pairwise("rank_n_contrast", temperature=2.0, prepare=order_by_score)
def rank_n_contrast(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Ordered) -> LossAndWeight:
    """Each row is attracted to another one more than to the rows whose score is at least as far away.

    O(n²p) time and O(np + block·n) memory; see ``by_distance``, also for when scores count as tied.

    Formula:
      mean over ordered pairs (i, j) of -log [ exp(s_ij) / sum_{k != i: |y_i - y_k| >= |y_i - y_j|} exp(s_ik) ]
      s_ij = -|z_i - z_j|₂ / τ

    Source:
      Zha et al., NeurIPS 2023, arXiv 2210.01189 (τ = 2, two augmented copies of each scan). The sums are ours.
    """
    rows = everyone.rows
    real = others(anchors, rows)
    logits = -euclidean(anchors.z, rows.z, rows.labeled) / shared.temperature
    pairs = real.astype(logits.dtype)
    logs = sum_of_logs(anchors, everyone, logits, real, pairs, ties=True)
    return logs - jnp.where(real, logits, 0).sum(1), pairs.sum(1)
