"""Controls: does a read-out reverse its answer for swapped visits, and see no change where there is none?

There is none between a visit and itself, and in patients whose score stays within the threshold.
"""

import jax
import numpy as np

from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient, contributing
from learner_jax.evaluators.statistics.bootstrap import Counts, means, ratio

_NONE = "undefined: no patient with several visits stays within the threshold throughout"

QUANTITIES = {
    "swap_consistency": Quantity("swap consistency"),
    "self_pair_false_change": Quantity("false change of a visit with itself"),
    "null_false_change": Quantity("null controls: false change", None, _NONE),
    "null_trend": Quantity("null controls: trend over time", 0.0, _NONE),
    "null_size": Quantity("null controls: predicted change, of that of others", None, _NONE),
}


def null_controls(truth: Truth) -> np.ndarray:
    """Bool ``[p]``: patients with several labeled visits, all of whose pairs are stable."""
    moved = np.bincount(truth.patient, truth.change != 0, truth.n_patients)
    return (np.bincount(truth.patient, minlength=truth.n_patients) > 0) & (moved == 0)


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Sums per patient; None without pairs."""
    truth = predictions.truth
    if len(truth) == 0:
        return None
    null = null_controls(truth)[truth.patient]
    called, sign = predictions.change != 0, np.sign(predictions.delta)
    counted, moved = null & truth.scored, (truth.change != 0) & truth.scored
    data = {"null_false_change": _sums(called, counted, truth.patient, width)}
    n = {"null_false_change": contributing(truth.patient, counted)}
    size = np.abs(predictions.delta)
    size = size / (size.mean() or 1.0)
    data["size_null"] = _sums(size, counted, truth.patient, width)
    data["size_moved"] = _sums(size, moved, truth.patient, width)
    n["null_size"] = contributing(truth.patient, counted)
    if truth.mode == "visits":  # scans of one visit have no order in time
        # each patient weighs 1: the mean of its signs is Kendall's tau of prediction and time
        own = np.bincount(truth.patient, minlength=width)[truth.patient]
        data["null_trend"] = _sums(sign / own, null, truth.patient, width, 1 / own)
        n["null_trend"] = contributing(truth.patient, null)
    if predictions.swapped is not None:
        data["swap_consistency"] = _sums(predictions.swapped == -predictions.change, truth.scored, truth.patient, width)
        n["swap_consistency"] = contributing(truth.patient, truth.scored)
    if predictions.with_itself is not None:
        every = np.ones(len(predictions.with_itself), bool)
        data["self_pair_false_change"] = _sums(predictions.with_itself != 0, every, truth.patient_of, width)
        n["self_pair_false_change"] = (truth.n_patients, None)
    return Prepared(data, {name: n[name] for name in QUANTITIES if name in n})


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * swap consistency: share of pairs whose class changes sign when the visits are swapped;
    * false change of a visit with itself: share of observations called changed against themselves;
    * null controls are patients with several visits whose score never moves by more than the threshold: the share of
      their pairs called changed; the mean over them of Kendall's τ of prediction and time (1: predicted to rise
      throughout); and the mean size of their predicted differences over that of pairs that did change.
    """
    found = means(data, counts)
    null, moved = found.pop("size_null"), found.pop("size_moved")
    return found | {"null_size": ratio(null, moved)}


def _sums(value: np.ndarray, which: np.ndarray, patient: np.ndarray, width: int, weight: np.ndarray | float = 1.0):
    return by_patient(np.stack([value * which, which * weight], 1), patient, width)


FAMILY = Family(QUANTITIES, prepare, statistic)
