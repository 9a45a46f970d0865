"""Heads that compare two scans by the difference of one number each: antisymmetric, zero for a scan with itself."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, coarse, fine, others, score_distance
from learner_jax.objectives.by_distance import SAME
from learner_jax.objectives.heads import Params, dense
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


def _difference_head(key: str):
    """A linear head without a bias, so that swapping the scans only changes the sign."""

    def init(rng: jax.Array, dim: int, n_patients: int, config: ObjectiveConfig) -> Params:
        return {key: {"kernel": dense(rng, dim, 1)["kernel"]}}

    def predict(params: Params, u: Float[Array, "b d"]) -> Float[Array, " b"]:
        return (u @ params[key]["kernel"])[:, 0]

    return {"init": init, "predict": predict, "compares": "u"}


@pairwise("lilac", **_difference_head("difference"))
def lilac(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """A head on the difference of two embeddings predicts the difference of their scores.

    Formula:
      mean over ordered pairs of (w·(u_j - u_i) - (y_j - y_i))²;  pairs within patients (lilac_pairs = fine), between
      them (coarse) or both (all)

    Source:
      LILAC-s: Kim et al., PNAS 122 (2025) e2411492122. It also counts pairs of a scan with itself, which always cost 0;
      they are left out here.
    """
    pairs = _pairs(config, anchors, everyone)
    found = everyone.prediction[None] - anchors.prediction[:, None]
    wanted = everyone.score[None] - anchors.score[:, None]
    return jnp.where(pairs, jnp.square(found - wanted), 0).sum(1), pairs.sum(1, dtype=found.dtype)


@pairwise("lilac_order", **_difference_head("order"))
def lilac_order(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """A head on the difference of two embeddings predicts which score is higher.

    Formula:
      mean over ordered pairs of BCE(sigmoid(w·(u_j - u_i)), t);  t = 1 where y_j > y_i, 0 where lower, 1/2 where equal

    Source:
      LILAC-o: Kim et al., PNAS 122 (2025) e2411492122, with the order of scores instead of the order in time.
    """
    pairs = _pairs(config, anchors, everyone)
    found = everyone.prediction[None] - anchors.prediction[:, None]
    difference = everyone.score[None] - anchors.score[:, None]
    wanted = jnp.where(jnp.abs(difference) <= SAME, 0.5, (difference > 0).astype(found.dtype))
    cost = jax.nn.softplus(found) - wanted * found
    return jnp.where(pairs, cost, 0).sum(1), pairs.sum(1, dtype=found.dtype)


def _davidson_head(rng: jax.Array, dim: int, n_patients: int, config: ObjectiveConfig) -> Params:
    return {"davidson": {"kernel": dense(rng, dim, 1)["kernel"], "log_tie": jnp.zeros(())}}


@pairwise("davidson", **_difference_head("davidson") | {"init": _davidson_head})
def davidson(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """The likelihood of three outcomes for each pair: higher, lower or alike, with a learnt propensity for alike.

    Formula:
      mean over pairs of -log P;  r = w·(u_j - u_i) / 2, ν = exp(log_tie)
      P(j higher) = e^r / (e^r + e^-r + ν), P(j lower) = e^-r / (…), P(alike) = ν / (…)
      alike where |y_i - y_j| <= similar; all pairs of different scans

    Source:
      Davidson, J. Am. Statist. Assoc. 65 (1970) 317, doi 10.1080/01621459.1970.10481082.
    """
    pairs = _scans(anchors, everyone)
    r = (everyone.prediction[None] - anchors.prediction[:, None]) / 2
    tie = shared.params["davidson"]["log_tie"].astype(r.dtype)
    total = jnp.logaddexp(jnp.logaddexp(r, -r), tie)
    higher = everyone.score[None] > anchors.score[:, None]
    alike = score_distance(anchors, everyone) <= config.similar
    cost = total - jnp.where(alike, tie, jnp.where(higher, r, -r))
    return jnp.where(pairs, cost, 0).sum(1), pairs.sum(1, dtype=r.dtype)


def _pairs(config: ObjectiveConfig, anchors: Projected, everyone: Projected) -> Bool[Array, "k n"]:
    return {"fine": fine, "coarse": coarse, "all": _scans}[config.lilac_pairs](anchors, everyone)


def _scans(anchors: Projected, everyone: Projected) -> Bool[Array, "k n"]:
    """Pairs of different scans; two augmented copies of one are none."""
    return others(anchors, everyone) & (anchors.row[:, None] != everyone.row[None])
