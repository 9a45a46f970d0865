"""LEARNER: compare scans of different patients by the difference of their scores. arXiv 2411.01144.

We could not read the text of the paper's Eq 3. What is known: it compares scans of several patients, a weighted form
does best, and cosine distance should rise with the score difference. The forms here are our reading of that picture,
not the paper's formula.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, coarse, score_distance, similarity
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise, together

_DENSITY_BINS = 16  # of the score difference, over score_range; the last one is open-ended


def count_pairs(config: ObjectiveConfig, anchors: Projected, everyone: Projected) -> Any:
    """Number of coarse pairs in each bin of the score difference, ``[16]``; None unless the weights need it."""
    if config.pair_weight != "inverse_density":
        return None
    place, pairs = _density_bin(config, score_distance(anchors, everyone)), coarse(anchors, everyone)
    bins = jnp.arange(_DENSITY_BINS)
    return jax.lax.map(lambda one: (pairs & (place == one)).sum(dtype=anchors.z.dtype), bins)


@pairwise("learner", temperature=0.1, survey=count_pairs)
def learner(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Cosine distance that grows with the score difference of coarse pairs (our reading of the paper's figures).

    The form is ``config.objective.form``, the weight ``config.objective.pair_weight``.

    Formula:
      over coarse pairs (i, j), D = 1 - cos(z_i, z_j), d = |y_i - y_j|, R = score_range, x = min(d / R, 1)
      distance_match   sum w_ij (D - g(d))² / sum w_ij;  g = 1 - cos(πx)
      margin           sum w_ij ([x - D]₊² + [D - 2x]₊²) / sum w_ij
      soft_infonce     mean_i -sum_j q_ij log softmax_j(cos(z_i, z_j) / τ);  q_ij ~ w_ij exp(-d / sigma), sum_j q_ij = 1
      w_ij             uniform 1;  distance d^weight_power (the largest d cancels);  inverse_density 1 / number of
                       coarse pairs of the batch in the same sixteenth of score_range

    Under distance_match, random projections of width p cost sum w cos²(πx) / sum w + 1/p on average, whatever the scans
    show. So with many dimensions, a batch whose weighted differences are mostly around R / 2 has a low loss without
    anything being learnt; in a plane (``config.objective.projection=2``) it has not.

    Source:
      LEARNER, arXiv 2411.01144: our reading, not the paper's formula. The target of distance_match is half a circle,
      which a plane can realise exactly, so zero loss is possible; inverse density is the label distribution smoothing
      of Yang et al., arXiv 2102.09554, applied to differences.
    """
    pairs, d = coarse(anchors, everyone), score_distance(anchors, everyone)
    cosine = similarity(anchors.unit, everyone.unit)
    w = pairs * _weight(config, d, shared.survey)
    if config.form == "soft_infonce":
        return _soft_infonce(config, shared.temperature, cosine, d, pairs, w)
    x = jnp.minimum(d / config.score_range, 1)
    distance = 1 - cosine
    if config.form == "margin":
        cost = jnp.square(jax.nn.relu(x - distance)) + jnp.square(jax.nn.relu(distance - 2 * x))
    else:
        cost = jnp.square(distance - (1 - jnp.cos(jnp.pi * x)))
    return (w * cost).sum(1), w.sum(1)


def _soft_infonce(config, temperature, cosine, d, pairs, w) -> LossAndWeight:
    logits = jnp.where(pairs, cosine / temperature, -jnp.inf)
    some = pairs.any(1) & (w.sum(1) > 0)
    logits = jnp.where(some[:, None], logits, 0)
    log_softmax = jnp.where(pairs, jax.nn.log_softmax(logits, axis=1), 0)
    # subtracting an anchor's smallest d changes nothing but keeps the weights of an outlier from underflowing
    nearest = jnp.where(w > 0, d, jnp.inf).min(1, keepdims=True, initial=jnp.inf)
    q = w * jnp.exp(-jnp.where(w > 0, d - nearest, 0) / config.sigma)
    q = q / jnp.where(some, q.sum(1), 1)[:, None]
    weight = some.astype(cosine.dtype)
    return -(q * log_softmax).sum(1) * weight, weight


def _weight(config: ObjectiveConfig, d: Float[Array, "k n"], pairs_by_bin: Any) -> Float[Array, "k n"]:
    if config.pair_weight == "distance":
        return d if config.weight_power == 1 else jnp.power(d, config.weight_power)
    if config.pair_weight == "inverse_density":
        return 1 / jnp.maximum(pairs_by_bin, 1)[_density_bin(config, d)]
    return jnp.ones_like(d)


def _density_bin(config: ObjectiveConfig, d: Float[Array, "k n"]) -> Array:
    return jnp.minimum(d / config.score_range * _DENSITY_BINS, _DENSITY_BINS - 1).astype(jnp.int32)


@together("learner_combined", "mse", "learner")
def learner_combined():
    """Squared error plus contrast, the paper's best arm.

    Formula:
      weights.mse · mse + ramp · weights.learner · learner

    Source:
      LEARNER, arXiv 2411.01144; we could not read its weights.
    """
