"""Coarse order and error: does the read-out rank patients, and how far is its score of single observations?"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Num

from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient
from learner_jax.evaluators.ranks import spearman, spearman_data
from learner_jax.evaluators.statistics.bootstrap import Counts, padded, ratio, summed

_BLOCK = 256  # anchors compared with all observations at once: bounds memory to block x m
MOST_PATIENTS = 2048  # above, 8 p² bytes are too many and replicates are linear in the counts

QUANTITIES = {
    "coarse_c_index": Quantity("coarse C-index", 0.5, "undefined: no two patients differ in their score"),
    "score_mae": Quantity("score mean absolute error"),
    "score_r2": Quantity("score R²", 0.0, "undefined: all scores are equal"),
    "score_spearman": Quantity("score Spearman ρ", 0.0, "undefined: all predictions, or all scores, are equal"),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Pairs of patients, errors and ranks; None for a read-out that compares pairs alone."""
    truth, said = predictions.truth, predictions.scores
    if said is None or len(truth.patient_of) == 0:
        return None
    true, patient = truth.observations.score.astype(np.float64), truth.patient_of
    ranks = [np.unique(x, return_inverse=True)[1].astype(np.float32) for x in (true, said)]
    n = dict.fromkeys(QUANTITIES, (truth.n_patients, None))
    n["coarse_c_index"] = (truth.n_patients, count_coarse_pairs(true, patient))
    data = {"order": coarse_order(*ranks, patient, width), "ranks": spearman_data(true, said, width - 1, patient)}
    if predictions.in_score_units:
        scale = float(np.std(true)) or 1.0
        x, error = (true - true.mean()) / scale, (said - true) / scale
        columns = np.stack([np.ones_like(x), x, x * x, error * error, np.abs(error)], 1)
        data |= {"sums": by_patient(columns, patient, width), "scale": np.float32(scale)}
    else:
        n = {name: n[name] for name in ("coarse_c_index", "score_spearman")}
    return Prepared(data, n)


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * coarse C-index: (right + predicted ties / 2) / comparable over observations of different patients; a pair counts
      as often as both its patients were drawn, and two copies of one patient are never compared;
    * R²: ``1 - Σ e² / Σ (y - mean y)²`` of the drawn observations.
    """
    found = {"coarse_c_index": c_index(data["order"], counts), "score_spearman": spearman(data["ranks"], counts)}
    if "sums" in data:
        n, x, xx, squares, absolute = summed(data["sums"], counts)
        found["score_mae"] = ratio(absolute, n) * data["scale"]
        found["score_r2"] = 1 - ratio(squares, xx - x * x / jnp.where(n > 0, n, 1))
    return found


def coarse_order(
    score: Num[np.ndarray, " m"], said: Num[np.ndarray, " m"], patient: Num[np.ndarray, " m"], width: int
) -> dict[str, Float32[np.ndarray, "width ..."]]:
    """Pairs of observations of different patients: those ordered right (predicted ties half) and those that can be.

    To 2,048 patients ``[a, b]`` counts the pairs in which patient a has the higher score. Above, ``[a]`` counts all
    pairs of patient a, whichever is higher; see :func:`c_index`.

    Args:
      score, said: dense ranks from 0 on, or another increasing transform that is exact in float32 and not negative.
      patient: below ``width``.
    """
    m = len(score)
    extra = (0, padded(m) - m)
    padding = (np.pad(x, extra, constant_values=last) for x, last in ((score, -1), (said, 0), (patient, width - 1)))
    score, said, patient = (np.asarray(x, kind) for x, kind in zip(padding, ("f4", "f4", "i4"), strict=True))
    return jax.tree.map(np.asarray, _coarse_order(score, said, patient, width, width <= MOST_PATIENTS))


@partial(jax.jit, static_argnames=("width", "pairwise"))
def _coarse_order(score, said, patient, width, pairwise):
    return (_by_pair if pairwise else _by_one)(score, said, patient, width)


def _compare(score, said, patient, anchor) -> tuple[jax.Array, jax.Array]:
    """``[m b]``: whether the anchor has the higher score, and whether it is rightly said so."""
    comparable = (score[:, None] < anchor["score"]) & (patient[:, None] != anchor["patient"]) & (score[:, None] >= 0)
    right = (jnp.sign(anchor["said"] - said[:, None]) + 1) / 2
    return comparable.astype(jnp.float32), jnp.where(comparable, right, 0.0)


def _blocks(score, said, patient) -> dict[str, jax.Array]:
    everyone = {"score": score, "said": said, "patient": patient}
    block = min(_BLOCK, len(score))
    pads = {"score": -1.0, "said": 0.0, "patient": 0}  # an anchor below all is never higher
    cut = {k: jnp.pad(x, (0, -len(score) % block), constant_values=pads[k]) for k, x in everyone.items()}
    return jax.tree.map(lambda x: x.reshape(-1, block), cut)


def _by_pair(score, said, patient, width):
    def against_all(sums, anchor):
        comparable, right = _compare(score, said, patient, anchor)
        pairs = jnp.stack([right, comparable], axis=1)  # [m 2 b]
        add = lambda x, ids: jax.ops.segment_sum(x, ids, width)  # noqa: E731
        return sums + add(add(pairs, patient).T, anchor["patient"]), None

    sums = jax.lax.scan(against_all, jnp.zeros((width, 2, width), jnp.float32), _blocks(score, said, patient))[0]
    return {"right": sums[:, 0], "comparable": sums[:, 1]}


def _by_one(score, said, patient, width):
    def against_all(sums, anchor):
        comparable, right = _compare(score, said, patient, anchor)
        both = jnp.stack([right, comparable], axis=-1)  # [m b 2]
        add = lambda x, ids: jax.ops.segment_sum(x, ids, width)  # noqa: E731
        return sums + add(both.sum(1), patient) + add(both.sum(0), anchor["patient"]), None

    sums = jax.lax.scan(against_all, jnp.zeros((width, 2), jnp.float32), _blocks(score, said, patient))[0]
    return {"right": sums[:, 0], "comparable": sums[:, 1]}


def c_index(sums: dict[str, Float32[Array | np.ndarray, "p ..."]], counts: Counts) -> Float32[Array, " r"]:
    """Harrell's C between patients.

    Where sums are of single patients, the products of counts are replaced by their linear part, ``c_a + c_b - 1`` (the
    Hájek projection of a U-statistic, doi 10.1214/aoms/1177730196); the error of an interval falls as 1 / p.
    """
    right, comparable = jnp.asarray(sums["right"]), jnp.asarray(sums["comparable"])
    if right.ndim == 2:
        return ratio(*((summed(x, counts) * counts).sum(0) for x in (right, comparable)))
    return ratio(*(summed(x, counts) - x.sum() / 2 for x in (right, comparable)))


def count_coarse_pairs(score: Num[np.ndarray, " m"], patient: Num[np.ndarray, " m"]) -> int:
    """Exact number of pairs that :func:`coarse_order` compares: of different patients, with different scores."""

    def pairs(*keys: np.ndarray) -> int:
        _, sizes = np.unique(np.stack(keys), axis=1, return_counts=True)
        return int((sizes * (sizes - 1) // 2).sum())

    constant = np.zeros(len(score))
    return pairs(constant) - pairs(patient) - pairs(score) + pairs(score, patient)


FAMILY = Family(QUANTITIES, prepare, statistic)
