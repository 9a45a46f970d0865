"""The precursor of comparisons between patients: similar or not, with a margin."""

import jax
import jax.numpy as jnp

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Projected, coarse, euclidean, score_distance
from learner_jax.objectives.parts import LossAndWeight, Shared, pairwise


@pairwise("siamese_margin")
def siamese_margin(config: ObjectiveConfig, shared: Shared, anchors: Projected, everyone: Projected) -> LossAndWeight:
    """Coarse pairs of similar scores are pulled together, all others pushed at least a margin apart.

    Formula:
      mean over coarse pairs of (1 - c) D² + c [margin - D]₊²;  D = |z_i - z_j|₂, c = [|y_i - y_j| > similar]

    Source:
      Li et al., npj Digital Medicine 3 (2020) 48, doi 10.1038/s41746-020-0255-1 (three-dimensional z, margin 2), after
      Hadsell, Chopra, LeCun, CVPR 2006.
    """
    pairs = coarse(anchors, everyone)
    distance = euclidean(anchors.z, everyone.z, everyone.labeled)
    apart = jnp.square(jax.nn.relu(config.margin - distance))
    cost = jnp.where(score_distance(anchors, everyone) > config.similar, apart, jnp.square(distance))
    return jnp.where(pairs, cost, 0).sum(1), pairs.sum(1, dtype=distance.dtype)
