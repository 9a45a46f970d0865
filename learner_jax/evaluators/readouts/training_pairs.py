"""Training pairs for read-outs that learn from pairs: fine ones, or coarse ones if no patient was seen twice."""

import dataclasses

import numpy as np
from jaxtyping import Float, Float64, Int

from learner_jax.evaluators.blockwise import blocks, moments
from learner_jax.evaluators.change import true_change
from learner_jax.evaluators.pairs import Observations, coarse_pairs, draw, fine_pairs

MOST_FINE = 16_384  # differences of width 768: 100 MB in float64
MOST_COARSE = 4096


@dataclasses.dataclass(frozen=True)
class TrainingPairs:
    """Standardised differences of embeddings with their true classes.

    ``x = (u_second - u_first) / scale``, where ``scale`` is the root mean square of the differences: their SD when each
    pair counts in both orders.
    """

    x: Float64[np.ndarray, "k d"]  # 0 in constant dimensions
    change: Int[np.ndarray, " k"]  # -1, 0, 1
    weight: Float64[np.ndarray, " k"]
    scale: Float64[np.ndarray, " d"]
    described: str  # ``300 fine pairs of 60 training patients``
    warning: str  # if all pairs, or none, are stable; else empty


def training_pairs(known: Observations, mode: str, change_threshold: float) -> TrainingPairs | str:
    """At most 16,384 fine pairs of labeled, sorted training observations; without any, at most 4,096 coarse pairs.

    If all pairs are stable, or none, half a pair of the other kind is added at a difference of 0: otherwise the
    likelihood would grow without bound.

    Returns:
      The pairs, or a clause that says why there are none.
    """
    pairs = fine_pairs(known, mode, "all")
    first, second = pairs.first, pairs.second
    if len(pairs):
        chosen = draw(len(pairs), MOST_FINE)
        first, second = first[chosen], second[chosen]
        total = f" of {len(pairs):,}" if len(chosen) < len(pairs) else ""
        patients = len(np.unique(pairs.patient[chosen]))
        described = f"{len(first):,}{total} fine pairs of {patients:,} training patients"
    else:
        first, second = coarse_pairs(known.patient, MOST_COARSE)
        why = "no training patient has two visits" if mode == "visits" else "no training visit has two scans"
        described = f"{len(first):,} coarse pairs of training patients: {why} with the score"
    if not len(first):
        return "training holds neither fine nor coarse pairs"
    change = true_change(known.score[first], known.score[second], change_threshold)
    x, scale = _differences(known.u, first, second)
    weight, warning = np.ones(len(x)), ""
    if (change == 0).all() or (change != 0).all():
        missing = int((change == 0).all())  # +1 serves as well as -1: at a difference of 0 both orders look the same
        x, change = np.concatenate([x, np.zeros((1, x.shape[1]))]), np.append(change, missing)
        weight = np.append(weight, 0.5)
        warning = (
            "all training pairs are stable, so no pair is called changed"
            if missing
            else "no training pair is stable, so a pair is called stable only where nothing speaks for either direction"
        )
    return TrainingPairs(x, change, weight, scale, described, warning)


def _differences(
    u: Float[np.ndarray, "n d"], first: np.ndarray, second: np.ndarray
) -> tuple[Float64[np.ndarray, "k d"], Float64[np.ndarray, " d"]]:
    _, _, varies = moments(u)
    x = np.empty((len(first), u.shape[1]))
    for at in blocks(len(first)):
        np.subtract(u[second[at]], u[first[at]], out=x[at], dtype=np.float64)
    x[:, ~varies] = 0
    scale = np.sqrt(sum((np.square(x[at]).sum(axis=0) for at in blocks(len(x))), np.zeros(u.shape[1])) / len(x))
    scale = np.where(scale > 0, scale, 1.0)
    x /= scale
    return x, scale
