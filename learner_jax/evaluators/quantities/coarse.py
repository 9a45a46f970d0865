"""Coarse order and error: does the read-out rank patients, and how far off are its scores of single observations?"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Num

from learner_jax.evaluators.concordance import ordered_alike, ties
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient
from learner_jax.evaluators.ranks import spearman, spearman_data
from learner_jax.evaluators.statistics.bootstrap import Counts, pad, ratio, summed

_BLOCK = 256  # anchors compared with all observations at once: bounds memory to block x m
MOST_PATIENTS = 2048  # above, 8 p² bytes would be too many, and replicates are linear in the counts

QUANTITIES = {
    "coarse_c_index": Quantity(
        "coarse C-index", 0.5, "undefined: no two patients differ in their score", scale_free=True
    ),
    "score_mae": Quantity("score mean absolute error"),
    "score_r2": Quantity("score R²", 0.0, "undefined: all scores are equal"),
    "score_spearman": Quantity(
        "score Spearman ρ", 0.0, "undefined: all predictions, or all scores, are equal", scale_free=True
    ),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Pairs of patients, errors and ranks; None without observations, or if the read-out only compares pairs."""
    truth, predicted = predictions.truth, predictions.scores
    if predicted is None or len(truth.patient_of) == 0:
        return None
    true, patient = truth.observations.score.astype(np.float64), truth.patient_of
    ranks = [np.unique(x, return_inverse=True)[1].astype(np.float32) for x in (true, predicted)]
    n = dict.fromkeys(QUANTITIES, (truth.n_patients, None))
    n["coarse_c_index"] = (truth.n_patients, count_coarse_pairs(true, patient))
    data = {"order": coarse_order(*ranks, patient, width), "ranks": spearman_data(true, predicted, width - 1, patient)}
    if predictions.in_score_units:
        scale = float(np.std(true)) or 1.0
        x, error = (true - true.mean()) / scale, (predicted - true) / scale
        columns = np.stack([np.ones_like(x), x, x * x, error * error, np.abs(error)], 1)
        data |= {"sums": by_patient(columns, patient, width), "scale": np.float32(scale)}
    else:
        n = {name: n[name] for name in ("coarse_c_index", "score_spearman")}
    return Prepared(data, n)


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * coarse C-index: (right + predicted ties / 2) / comparable over observations of different patients; a pair counts
      as often as the product of its two patients' counts, and two copies of one patient are never compared;
    * R²: ``1 - Σ e² / Σ (y - mean y)²`` of the drawn observations.
    """
    found = {"coarse_c_index": c_index(data["order"], counts), "score_spearman": spearman(data["ranks"], counts)}
    if "sums" in data:
        n, x, xx, squares, absolute = summed(data["sums"], counts)
        found["score_mae"] = ratio(absolute, n) * data["scale"]
        variance = xx - x * x / jnp.where(n > 0, n, 1)
        # copies of a single score leave only float32 rounding, which is no variance
        found["score_r2"] = 1 - ratio(squares, jnp.where(variance > 1e-6 * xx, variance, 0))
    return found


def coarse_order(
    score: Num[np.ndarray, " m"], predicted: Num[np.ndarray, " m"], patient: Num[np.ndarray, " m"], width: int
) -> dict[str, Float32[np.ndarray, "width ..."]]:
    """Pairs of observations of different patients: how many are ``right`` (predicted ties half) and ``comparable``.

    Up to 2,048 patients ``[a, b]`` counts the pairs in which patient a has the higher score. Above, ``[a]`` counts all
    pairs of patient a, whichever score is higher; see :func:`c_index`.

    Args:
      score, predicted: ranks of the true and the predicted scores, or another increasing transform of them that is not
        negative and exact in float32.
      patient: of each observation, below ``width``.
      width: number of patients, padded.
    """
    return (_by_pair if width <= MOST_PATIENTS else _by_one)(score, predicted, patient, width)


def _by_pair(score: np.ndarray, predicted: np.ndarray, patient: np.ndarray, width: int) -> dict[str, np.ndarray]:
    sums = _against_all(
        pad(score, -1).astype(np.float32),
        pad(predicted, 0).astype(np.float32),
        pad(patient, width - 1).astype(np.int32),
        width,
    )
    return jax.tree.map(np.asarray, sums)


@partial(jax.jit, static_argnames="width")
def _against_all(score, predicted, patient, width):
    everyone, block = {"score": score, "predicted": predicted, "patient": patient}, min(_BLOCK, len(score))
    pads = {"score": -1.0, "predicted": 0.0, "patient": 0}  # an anchor below all others is never the higher one
    cut = {k: jnp.pad(x, (0, -len(score) % block), constant_values=pads[k]) for k, x in everyone.items()}

    def add(x: jax.Array, ids: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(x, ids, width)

    def count(sums: jax.Array, anchor: dict[str, jax.Array]) -> tuple[jax.Array, None]:
        """Add whether each anchor has the higher score ``[m b]``, and whether that is predicted."""
        lower = (score[:, None] < anchor["score"]) & (score[:, None] >= 0)  # padding is negative
        comparable = lower & (patient[:, None] != anchor["patient"])
        right = (jnp.sign(anchor["predicted"] - predicted[:, None]) + 1) / 2
        pairs = jnp.stack([jnp.where(comparable, right, 0.0), comparable.astype(jnp.float32)], axis=1)  # [m 2 b]
        return sums + add(add(pairs, patient).T, anchor["patient"]), None

    blocks = jax.tree.map(lambda x: x.reshape(-1, block), cut)
    sums = jax.lax.scan(count, jnp.zeros((width, 2, width), jnp.float32), blocks)[0]
    return {"right": sums[:, 0], "comparable": sums[:, 1]}


def _by_one(score: np.ndarray, predicted: np.ndarray, patient: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """All pairs of each observation, less those with observations of its own patient."""
    everyone = np.zeros_like(patient)
    alike = ordered_alike(score, predicted, everyone) - ordered_alike(score, predicted, patient)
    tied = ties(predicted) - ties(predicted, score) - ties(predicted, patient) + ties(predicted, score, patient)
    sums = {"right": alike + tied / 2, "comparable": _comparable(score, patient)}
    return {name: by_patient(x, patient, width) for name, x in sums.items()}


def c_index(sums: dict[str, Float32[Array | np.ndarray, "p ..."]], counts: Counts) -> Float32[Array, " r"]:
    """Harrell's C between patients.

    If the sums are of single patients, products of counts are replaced by their linear part, ``c_a + c_b - 1`` (the
    Hájek projection of a U-statistic, doi 10.1214/aoms/1177730196); the error of an interval falls as 1 / p.
    """
    right, comparable = jnp.asarray(sums["right"]), jnp.asarray(sums["comparable"])
    if right.ndim == 2:
        return ratio(*((summed(x, counts) * counts).sum(0) for x in (right, comparable)))
    return ratio(*(summed(x, counts) - x.sum() / 2 for x in (right, comparable)))


def count_coarse_pairs(score: Num[np.ndarray, " m"], patient: Num[np.ndarray, " m"]) -> int:
    """Number of pairs that :func:`coarse_order` compares: of different patients, with different scores."""
    return int(_comparable(score, patient).sum()) // 2


def _comparable(score: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """For each observation, how many others it can be compared with ``[m]``."""
    return len(score) - ties(score) - ties(patient) + ties(score, patient)


FAMILY = Family(QUANTITIES, prepare, statistic)
