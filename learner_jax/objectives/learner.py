"""LEARNER: compare scans of different patients by the difference of their scores. arXiv 2411.01144.

The text of the paper's Eq 3 could not be read by us. What is known: it compares scans of several patients, a weighted
form does best, and the wanted picture is cosine distance that rises with the score difference. The form here is our
reading of that picture and not the paper's formula.
"""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.api import Objective, dense, init_projection, objectives, over_anchors
from learner_jax.objectives.regression import squared_error


def distance_match(
    z: Float[Array, "b p"], batch: Batch, mesh: Mesh, *, weight: str, score_range: float, block: int
) -> tuple[jax.Array, jax.Array]:
    """Cosine distance that grows with the score difference of coarse pairs (our reading, see above).

    ``sum_ij w_ij (D_ij - g(d_ij))² / sum_ij w_ij`` over ordered pairs of labeled scans of different patients, with
    ``D = 1 - cos(z_i, z_j)``, ``d = |y_i - y_j|`` and ``g(d) = 1 - cos(π min(d / score_range, 1))``: scores laid
    out along half a circle, which a plane can realise exactly, so that zero loss is within reach.

    Args:
      z: projections.
      batch: scores standardised on training patients.
      mesh: over which the batch is cut.
      weight: ``uniform`` w = 1, or ``distance`` w = d.
      score_range: score difference, in SD of the training scores, that is laid on opposite ends of the half circle.
      block: anchors compared at once.

    Returns:
      (loss, mean cosine of the coarse pairs); both 0 when the batch has no coarse pair.
    """
    # |z|² + tiny keeps the gradient of the all-zero rows that pad a block finite
    unit = z * jax.lax.rsqrt(jnp.square(z).sum(-1, keepdims=True) + 1e-12)
    rows = {
        "unit": unit,
        "score": jnp.nan_to_num(batch.score),
        "patient": batch.patient,
        "labeled": batch.labeled,
    }

    def compare(anchors, everyone):
        coarse = anchors["patient"][:, None] != everyone["patient"][None]
        coarse &= anchors["labeled"][:, None] & everyone["labeled"][None]
        cosine = anchors["unit"] @ everyone["unit"].T
        d = jnp.abs(anchors["score"][:, None] - everyone["score"][None])
        target = 1 - jnp.cos(jnp.pi * jnp.minimum(d / score_range, 1))
        w = coarse * (d if weight == "distance" else 1.0)
        return {
            "loss": (w * jnp.square(1 - cosine - target)).sum(),
            "weight": w.sum(),
            "cosine": (coarse * cosine).sum(),
            "pairs": coarse.sum(dtype=jnp.float32),
        }

    sums = over_anchors(compare, rows, mesh, block)
    return sums["loss"] / jnp.maximum(sums["weight"], 1e-6), sums["cosine"] / jnp.maximum(sums["pairs"], 1.0)


@objectives.register("learner")
def learner(config: ObjectiveConfig, mesh: Mesh) -> Objective:
    """The contrastive part alone."""

    def init(rng: jax.Array, dim: int) -> tuple[dict, dict]:
        return {"projection": init_projection(rng, dim, config.projection)}, {}

    def loss(params, state, z, u, batch, rng):
        value, cosine = distance_match(
            z, batch, mesh, weight=config.pair_weight, score_range=config.score_range, block=config.block
        )
        return value, {"contrastive": value, "mean_cosine": cosine}, state

    return Objective(init, loss)


@objectives.register("learner_combined")
def learner_combined(config: ObjectiveConfig, mesh: Mesh) -> Objective:
    """``mse_weight · MSE + contrastive_weight · contrastive``; the paper combines both, with weights unknown to us."""
    contrastive = learner(config, mesh)

    def init(rng: jax.Array, dim: int) -> tuple[dict, dict]:
        params, state = contrastive.init(rng, dim)
        return params | {"head": dense(jax.random.fold_in(rng, 1), dim, 1)}, state

    def loss(params, state, z, u, batch, rng):
        pairs, metrics, state = contrastive.loss(params, state, z, u, batch, rng)
        error = squared_error(params["head"], u, batch)
        value = config.mse_weight * error + config.contrastive_weight * pairs
        return value, metrics | {"mse": error}, state

    return Objective(init, loss)
