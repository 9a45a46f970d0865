"""RankSim: neighbours ranked by embedding as they are by score."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, score_distance, similarity
from learner_jax.objectives.by_distance import SAME
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


@pairwise("ranksim", compares="u", regularises=True)
def ranksim(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Ranks the rows by similarity to the anchor in the same order as by score.

    Add it to a regression (``mse+ranksim``). Ranks have no gradient; in its place is the difference between the ranks
    after a step of ``ranksim_step`` down the loss and before it.

    Formula:
      mean_i mean_j (R_ij - S_ij)²;  R_ij = rank of cos(u_i, u_j), S_ij = rank of -|y_i - y_j|, each over the labeled
      rows, largest first, divided by their number; ties share their mean rank

    Source:
      Gong, Mori, Tung, ICML 2022, arXiv 2205.15236; its gradient is that of Vlastelica et al., ICLR 2020, arXiv
      1912.02175. The published code keeps one random row of each label instead of sharing ranks, and sums over anchors.
    """
    real = anchors.labeled[:, None] & everyone.labeled[None]
    d = jnp.where(real, score_distance(anchors, everyone), jnp.inf)
    wanted = _mean_rank(d, SAME) / jnp.maximum(real.sum(1, keepdims=True), 1)
    cosine = similarity(anchors.unit, everyone.unit)
    return _mismatch(config.ranksim_step, cosine, wanted, real), anchors.labeled.astype(cosine.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _mismatch(step: float, x: Float[Array, "k n"], wanted: Float[Array, "k n"], real: Bool[Array, "k n"]) -> Array:
    """Mean squared difference between the ranks of ``x`` and those wanted, over the real entries of each row."""
    return jnp.where(real, jnp.square(_rank(x, real) - wanted), 0).sum(1) / jnp.maximum(real.sum(1), 1)


def _forward(step, x, wanted, real):
    return _mismatch(step, x, wanted, real), (x, wanted, real)


def _backward(step, kept, slope):
    x, wanted, real = kept
    rank = _rank(x, real)
    down = jnp.where(real, 2 * (rank - wanted), 0) / jnp.maximum(real.sum(1, keepdims=True), 1)
    moved = _rank(x + step * down, real)
    return slope[:, None] * jnp.where(real, (moved - rank) / step, 0), jnp.zeros_like(wanted), None


_mismatch.defvjp(_forward, _backward)


def _rank(x: Float[Array, "k n"], real: Bool[Array, "k n"]) -> Float[Array, "k n"]:
    """Ranks of the real entries of each row, over their number n: from 1/n for the largest to 1 for the smallest."""
    # in a collapsed embedding, similarities differ only by rounding, which must not rank them
    return _mean_rank(jnp.where(real, -x, jnp.inf), 1e-6) / jnp.maximum(real.sum(1, keepdims=True), 1)


def _mean_rank(x: Float[Array, "k n"], same: float) -> Float[Array, "k n"]:
    """Ranks from 1 for the smallest of a row; values that differ by at most ``same`` share their mean rank."""
    rows = _sort(x)
    first = jax.vmap(jnp.searchsorted)(rows, x - same)
    last = jax.vmap(partial(jnp.searchsorted, side="right"))(rows, x + same)
    return (first + last + 1).astype(x.dtype) / 2


def _sort(x: Float[Array, "k n"]) -> Float[Array, "k n"]:
    """Rows in ascending order, sorted as integers of the same order: a quarter of the time on a CPU."""
    whole = {4: jnp.int32, 8: jnp.int64}[x.dtype.itemsize]

    def turn(bits):  # inverts all bits of a negative number but the sign, as its order is reversed; its own inverse
        return bits ^ ((bits >> (8 * x.dtype.itemsize - 1)) & jnp.iinfo(whole).max)

    bits = jnp.sort(turn(jax.lax.bitcast_convert_type(x, whole)), axis=1)
    return jax.lax.bitcast_convert_type(turn(bits), x.dtype)
