"""Contrast under a kernel of the score: how strongly each row attracts an anchor, and which rows repel it."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, log_sum_exp, others, score_distance, similarity
from learner_jax.objectives.by_distance import SAME, Ordered, order_by_score, sum_of_logs
from learner_jax.objectives.ordinal import score_bin
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


@pairwise("supcon", temperature=0.1)
def supcon(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Rows in the same bin of the score attract each other; all others repel.

    Anchors that are alone in their bin do not count.

    Formula:
      mean_i -1/|P(i)| sum_{p in P(i)} log [ exp(s_ip) / sum_{a != i} exp(s_ia) ];  s = cos(z_i, z_j) / τ
      P(i): other rows in i's bin, of ``bins`` equal ones over score_range

    Source:
      Khosla et al., NeurIPS 2020, arXiv 2004.11362 (L_out).
    """
    real = others(anchors, everyone)
    alike = real & (score_bin(config, anchors.score)[:, None] == score_bin(config, everyone.score)[None])
    return _attract(alike / jnp.maximum(alike.sum(1, keepdims=True), 1), _logits(shared, anchors, everyone), real)


@pairwise("y_aware", temperature=0.1)
def y_aware(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Rows attract each other the more, the closer their scores are.

    Formula:
      mean_i -sum_k w_ik / sum_t w_it · log [ exp(s_ik) / sum_{a != i} exp(s_ia) ];  s = cos(z_i, z_j) / τ
      w_ik = exp(-(y_i - y_k)² / 2 sigma²)

    Source:
      Dufumier et al., MICCAI 2021, arXiv 2106.08808. Rows are normalised as in the paper; its published code divides
      columns.
    """
    real = others(anchors, everyone)
    w = _kernel(config, score_distance(anchors, everyone), real)
    return _attract(w, _logits(shared, anchors, everyone), real)


@pairwise("exp_kernel", temperature=0.1)
def exp_kernel(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Like y_aware, but the closer a row's score is, the less it repels the anchor.

    Formula:
      mean_i -sum_k w_ik / sum_t w_it · [ s_ik - log sum_{t != i} exp(s_it (1 - w_it)) ];  w, s as in y_aware

    Source:
      Barbano et al., ISBI 2023, arXiv 2211.08326 (L^exp), with all other rows in the denominator as in its code.
    """
    real = others(anchors, everyone)
    d, logits = score_distance(anchors, everyone), _logits(shared, anchors, everyone)
    far = 1 - jnp.exp(-jnp.square(d) / (2 * config.sigma**2))
    w = _kernel(config, d, real)
    return log_sum_exp(far * logits, real) * w.sum(1) - (w * logits).sum(1), real.any(1).astype(w.dtype)


@pairwise("threshold_kernel", temperature=0.1, prepare=order_by_score)
def threshold_kernel(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Ordered) -> LossAndWeight:
    """Like y_aware, but a positive is contrasted only with rows whose score is farther from the anchor's than its own.

    The rows farthest from the anchor have nothing to be contrasted with and are left out.

    Formula:
      mean_i -sum_k w_ik / sum_t w_it · log [ exp(s_ik) / sum_{t: w_it < w_ik} exp(s_it) ];  w, s as in y_aware, sums
      over k that have such a t

    Source:
      Barbano et al., ISBI 2023, arXiv 2211.08326 (L^thr). Its published code takes one logarithm of the sum over all
      positives' denominators. The sums are those of rank_n_contrast, without ties.
    """
    rows = everyone.rows
    real = others(anchors, rows)
    d = score_distance(anchors, rows)
    contrasted = real & (d < jnp.where(real, d, 0).max(1, keepdims=True) - SAME)
    w, logits = _kernel(config, d, contrasted), _logits(shared, anchors, rows)
    logs = sum_of_logs(anchors, everyone, logits, real, w, ties=False)
    return logs - (w * logits).sum(1), contrasted.any(1).astype(w.dtype)


def _logits(shared: Shared, anchors: Projected, everyone: Projected) -> Float[Array, "k n"]:
    return similarity(anchors.unit, everyone.unit) / shared.temperature


def _kernel(config: ObjectiveConfig, d: Float[Array, "k n"], real: Bool[Array, "k n"]) -> Float[Array, "k n"]:
    """``w_ik / sum_t w_it``, computed relative to the nearest row, as otherwise all weights of an outlier underflow."""
    nearest = jnp.where(real, d, jnp.inf).min(1, keepdims=True)
    nearest = jnp.where(jnp.isfinite(nearest), nearest, 0)
    w = jnp.where(real, jnp.exp(-(jnp.square(d) - jnp.square(nearest)) / (2 * config.sigma**2)), 0)
    return w / jnp.where(real.any(1), w.sum(1), 1)[:, None]


def _attract(w: Float[Array, "k n"], logits: Float[Array, "k n"], real: Bool[Array, "k n"]) -> LossAndWeight:
    """``-sum_k w_ik log softmax_k``, the softmax over real pairs; an anchor's weights must sum to 1 or be all 0."""
    return log_sum_exp(logits, real) * w.sum(1) - (w * logits).sum(1), (w.sum(1) > 0).astype(w.dtype)
