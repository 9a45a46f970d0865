"""The embedding itself, without a read-out: do distances grow with differences of scores, between and within patients?

The paper's figures (arXiv 2411.01144): distance against |Δscore| of fine pairs, and how far the embeddings spread.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from learner_jax.evaluators.blockwise import blocks, pair_distance
from learner_jax.evaluators.pairs import coarse_pairs
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity
from learner_jax.evaluators.ranks import entry_weight, spearman, spearman_data
from learner_jax.evaluators.statistics.bootstrap import Counts, pad, ratio

_COARSE_PAIRS = 16_384  # drawn at most
_ROUNDING = 1e-9  # times the squared mean: what float32 sums leave of the variance where all differences are equal
_EQUAL = "undefined: all distances, or all score differences, are equal"

QUANTITIES = {
    "embedding_distance_spearman": Quantity("distance–|Δscore| Spearman ρ, fine pairs", 0.0, _EQUAL, scale_free=True),
    "embedding_distance_slope": Quantity("distance per SD of score, fine pairs", 0.0, _EQUAL),
    "coarse_distance_spearman": Quantity("distance–|Δscore| Spearman ρ, coarse pairs", 0.0, _EQUAL),
    "coarse_distance_slope": Quantity("distance per SD of score, coarse pairs", 0.0, _EQUAL),
    "spread": Quantity("mean distance of two patients"),
    "fine_to_coarse_distance": Quantity("distance within over between patients", 1.0, "undefined: all distances are 0"),
    "effective_rank": Quantity("effective rank"),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Distances of fine pairs and of drawn coarse pairs; None if there are no observations or no distances."""
    truth, data, n = predictions.truth, {}, {}
    u, score = truth.observations.u, truth.observations.score.astype(np.float64)
    if predictions.distance is None or len(score) == 0:
        return None
    scale = float(np.std(score)) or 1.0
    at = np.flatnonzero(truth.scored)
    if at.size:
        owner = (truth.patient[at],)
        data["fine"] = _pairs(np.abs(truth.delta[at]) / scale, predictions.distance[at], owner, width)
        n |= dict.fromkeys(("embedding_distance_spearman", "embedding_distance_slope"), _n(*owner))
    first, second = coarse_pairs(truth.patient_of, _COARSE_PAIRS)
    if first.size and u.shape[1]:
        owner = truth.patient_of[first], truth.patient_of[second]
        apart = np.abs(score[second] - score[first]) / scale
        data["coarse"] = _pairs(apart, pair_distance(u, first, second), owner, width)
        n |= dict.fromkeys(("coarse_distance_spearman", "coarse_distance_slope", "spread"), _n(*owner))
    if "fine" in data and "coarse" in data:
        n["fine_to_coarse_distance"] = n["embedding_distance_spearman"]
    if not u.shape[1]:  # a stored evaluation holds distances but no embeddings
        return Prepared(data, n) if data else None
    n["effective_rank"] = (truth.n_patients, None)
    return Prepared(data, n, fixed={"effective_rank": effective_rank(u)})


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw; a coarse pair counts as often as the product of its two patients' counts."""
    found, means = {}, {}
    for kind, name in (("fine", "embedding"), ("coarse", "coarse")):
        if kind in data:
            weight = entry_weight(data[kind]["patients"], counts)
            slope, means[kind] = _line(data[kind]["x"], data[kind]["y"], weight)
            found |= {
                f"{name}_distance_spearman": spearman(data[kind]["ranks"], counts),
                f"{name}_distance_slope": slope * data[kind]["scale"],
            }
    if "coarse" in data:
        found["spread"] = means["coarse"] * data["coarse"]["scale"]
    if len(means) == 2:
        fine, coarse = (means[kind] * data[kind]["scale"] for kind in ("fine", "coarse"))
        found["fine_to_coarse_distance"] = ratio(fine, coarse)
    return found


def effective_rank(u: Float32[np.ndarray, "m d"]) -> float:
    """``exp(-Σ p ln p)`` with p the shares of the covariance's eigenvalues: how many directions are in use.

    1 for embeddings on a line, 0 if all are equal. Roy & Vetterli, EUSIPCO 2007.
    """
    mean, m = u.mean(0, dtype=np.float64), len(u)
    if m < u.shape[1]:
        gram = (u - mean) @ (u - mean).T
    else:
        centred = (u[at] - mean for at in blocks(m))
        gram = sum((x.T @ x for x in centred), np.zeros((u.shape[1], u.shape[1])))
    values = np.linalg.eigvalsh(gram)
    values = values[values > 1e-12 * max(values[-1], m * 1e-12 * float(mean @ mean))]
    share = values / values.sum() if values.size else values
    return float(np.exp(-np.sum(share * np.log(share)))) if values.size else 0.0


def _pairs(x: np.ndarray, y: np.ndarray, patients: tuple[np.ndarray, ...], width: int) -> dict:
    scale = float(y.mean()) or 1.0
    ranks = spearman_data(x, y, width - 1, *patients)
    return {
        "x": pad(x, 0).astype(np.float32),
        "y": pad(y / scale, 0).astype(np.float32),
        "scale": np.float32(scale),
        "patients": ranks["patients"],
        "ranks": ranks,
    }


def _line(x: jax.Array, y: jax.Array, weight: Float[jax.Array, "k r"]) -> tuple[jax.Array, jax.Array]:
    """Slope of the weighted least-squares line of y on x, and the weighted mean of y."""
    n = weight.sum(0)
    mx, my = (ratio((z[:, None] * weight).sum(0), n) for z in (x, y))
    dx = (x[:, None] - mx) * weight
    squares = (dx * (x[:, None] - mx)).sum(0)
    squares = jnp.where(squares > _ROUNDING * n * mx**2, squares, 0)
    return ratio((dx * (y[:, None] - my)).sum(0), squares), my


def _n(*patients: np.ndarray) -> tuple[int, int]:
    return len(np.unique(np.concatenate(patients))), len(patients[0])


FAMILY = Family(QUANTITIES, prepare, statistic)
