"""Sums over the rows whose score is farther from an anchor's than that of another row, without n x n x n masks.

Scores are on a line, so the rows at least as far from anchor i as row j is are a prefix and a suffix of the rows in the
order of scores. One sort of the batch serves all anchors, and an anchor's sums are prefix sums and suffix sums of its
similarities. If scores repeat, the rows of each score are summed first, and the prefix and suffix sums run over a few
hundred scores instead of all rows.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from learner_jax.objectives.api import Projected
from learner_jax.pytree import array_tree

# Scores, and differences of scores, count as equal when they differ by less than this many SD: standardising in float32
# separates equal differences of integer scores by up to 1e-6.
SAME = 1e-5

# An anchor's largest logit is shifted to 70: n exp(70) stays finite, and logits down to -80, 150 below, keep the full
# precision of float32.
_HEADROOM = 70.0

_MOST_LEVELS = 256  # with more distinct scores, sums are made by row


@array_tree
class Ordered:
    """All rows in the order of their scores, unlabeled ones last."""

    rows: Projected
    score: Float[Array, " n"]  # +inf where unlabeled
    level: Int32[Array, " n"]  # index of the row's score among the distinct ones; m: unlabeled, or not in ``levels``
    levels: Float[Array, " m"]  # the first m distinct scores in order, padded with +inf
    few: Bool[Array, ""]  # whether ``levels`` holds all of them
    before: Int32[Array, " n"]  # rows with a smaller score
    upto: Int32[Array, " n"]  # rows with a smaller or the same score


def order_by_score(everyone: Projected) -> Ordered:
    """Sort all rows by score once and number the distinct scores."""
    score = jnp.where(everyone.labeled, everyone.score, jnp.inf)
    order = jnp.argsort(score)
    rows, score = jax.tree.map(lambda x: x[order], everyone), score[order]
    n = len(score)
    starts = jnp.concatenate([jnp.zeros(1, bool), jnp.diff(score) > SAME]) & rows.labeled
    level = jnp.cumsum(starts, dtype=jnp.int32)
    m = min(n, _MOST_LEVELS)
    place = jnp.where(rows.labeled & (level < m), level, m)
    levels = jnp.full(m + 1, jnp.inf, score.dtype).at[place].min(score)[:m]
    few = jnp.max(jnp.where(rows.labeled, level, 0)) < m
    first = jax.ops.segment_min(jnp.arange(n, dtype=jnp.int32), jnp.where(rows.labeled, level, n), n + 1)
    upto = jnp.minimum(first[jnp.minimum(level + 1, n)], rows.labeled.sum()).astype(jnp.int32)
    return Ordered(rows, score, place, levels, few, first[level], upto)


def sum_of_logs(
    anchors: Projected,
    everyone: Ordered,
    logits: Float[Array, "k n"],
    real: Bool[Array, "k n"],
    weight: Float[Array, "k n"],
    ties: bool,
) -> Float[Array, " k"]:
    """``sum_j w_ij log sum_{k: d_ik > d_ij} exp(s_ik)``, d the distance in score from anchor i.

    Args:
      anchors: block of rows.
      everyone: all rows in order.
      logits: ``s_ik``. Those more than 150 below the anchor's largest (in float32) count as 150 below, which keeps
        value and gradient finite.
      real: pairs (i, k) that exist.
      weight: ``w_ij``; must be 0 where (i, j) does not exist and, without ties, where no row is farther from i than j.
      ties: whether the inner sum includes rows exactly as far away as j, and so j itself (``d_ik >= d_ij``).
    """
    top = jnp.where(real, logits, -jnp.inf).max(1, keepdims=True, initial=-jnp.inf)
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0)) - _HEADROOM
    mass = jnp.where(real, jnp.exp(jnp.where(real, logits - top, 0)), 0)
    # Each branch is checkpointed by itself, since a cond keeps the residuals of both branches for the backward pass.
    few, many = (jax.checkpoint(partial(way, ties=ties)) for way in (_by_level, _by_row))
    logs = jax.lax.cond(everyone.few, few, many, anchors, everyone, mass, weight)
    return logs + weight.sum(1) * top[:, 0]


def _by_level(anchors: Projected, everyone: Ordered, mass: Array, weight: Array, ties: bool) -> Float[Array, " k"]:
    """One sum per distinct score."""
    levels, m, y = everyone.levels, len(everyone.levels), anchors.score[:, None]
    of_level = jax.nn.one_hot(everyone.level, m, dtype=mass.dtype)
    by_level, weight = (jnp.matmul(x, of_level, precision=jax.lax.Precision.HIGHEST) for x in (mass, weight))
    d, slack = jnp.abs(y - levels[None]), SAME if ties else -SAME
    low = jnp.searchsorted(levels, y - d + slack, side="right")
    high = jnp.maximum(jnp.searchsorted(levels, y + d - slack), low)
    return (weight * _log(_outer_sums(by_level, low, high))).sum(1)


def _by_row(anchors: Projected, everyone: Ordered, mass: Array, weight: Array, ties: bool) -> Float[Array, " k"]:
    """One sum per row, for scores that hardly repeat."""
    n, score, y = len(everyone.score), everyone.score, anchors.score[:, None]
    finite = jnp.where(everyone.rows.labeled, score, 0)
    side = jnp.where(score < y - SAME, -1, jnp.where(score > y + SAME, 1, 0))
    slack = SAME if ties else -SAME
    # on the row's own side of the anchor, the rows of equal score bound the sum; on the other side, their mirror image
    mirror = jnp.searchsorted(score, 2 * y - finite + side * slack).astype(jnp.int32)
    left, right = (everyone.upto, everyone.before) if ties else (everyone.before, everyone.upto)
    near = (n, n) if ties else (_count_below(score, y - SAME), _count_below(score, y + SAME))
    low = jnp.where(side < 0, left, jnp.where(side > 0, mirror, near[0]))
    high = jnp.where(side < 0, mirror, jnp.where(side > 0, right, near[1]))
    return (weight * _log(_outer_sums(mass, low, jnp.maximum(high, low)))).sum(1)


def _count_below(score: Float[Array, " n"], limit: Float[Array, "k 1"]) -> Int32[Array, "k 1"]:
    return jnp.searchsorted(score, limit).astype(jnp.int32)


def _outer_sums(x: Float[Array, "k n"], low: Array, high: Array) -> Array:
    """``x[:, :low].sum() + x[:, high:].sum()``, without subtracting sums, which could cancel."""
    prefix = jnp.pad(jax.lax.cumsum(x, 1), ((0, 0), (1, 0)))
    suffix = jnp.pad(jax.lax.cumsum(x, 1, reverse=True), ((0, 0), (0, 1)))
    return jnp.take_along_axis(prefix, low, 1) + jnp.take_along_axis(suffix, high, 1)


def _log(x: Array) -> Array:
    return jnp.log(jnp.maximum(x, jnp.finfo(x.dtype).tiny))
