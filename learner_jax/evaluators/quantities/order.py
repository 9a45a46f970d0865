"""Order within a patient: does the read-out rank visits as their scores do?"""

import jax
import jax.numpy as jnp
import numpy as np

from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient, contributing
from learner_jax.evaluators.statistics.bootstrap import Counts, ratio, summed

_TIED = "undefined: no fine pair differs in its score"
_MOVES = "undefined: no patient has two different scores"

QUANTITIES = {
    "pairwise_accuracy": Quantity("pairwise accuracy", 0.5, _TIED),
    "pairwise_accuracy_per_patient": Quantity("pairwise accuracy, mean over patients", 0.5, _TIED),
    "kendall_tau_b": Quantity("within-patient Kendall τ-b", 0.0, _MOVES),
    "c_index": Quantity("within-patient C-index", 0.5, _MOVES),
    "rm_correlation": Quantity(
        "repeated-measures correlation",
        0.0,
        "undefined: no score, or no prediction, moves within a patient",
        scale_free=True,
    ),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Sums of agreement per patient; None without pairs."""
    truth = predictions.truth
    if len(truth) == 0:
        return None
    # Signs are taken in float64: a difference of 1e-50 is no tie, though it would be 0 in float32.
    up, guess = np.sign(truth.delta), np.sign(predictions.delta)
    right, comparable = np.where(up != 0, (1 + up * guess) / 2, 0), up != 0
    tau, moves = patient_tau(up, guess, truth.patient, width)
    x, y = (d / (np.std(d) or 1) for d in (truth.delta, predictions.delta))
    sums = {
        "pairs": by_patient(np.stack([right, comparable], 1) * truth.scored[:, None], truth.patient, width),
        "all": by_patient(np.stack([right, comparable], 1), truth.patient, width),
        # the sum of squares of n observations about their mean is the sum of squared differences of their pairs, over n
        "squares": by_patient(np.stack([x * x, y * y, x * y], 1) / truth.group_size[:, None], truth.patient, width),
        "tau": np.stack([tau * moves, moves], 1).astype(np.float32),
    }
    sums["share"] = _share(sums["pairs"])
    untied = contributing(truth.patient, comparable & truth.scored)
    moving = contributing(truth.patient, moves[truth.patient] > 0)
    n = {
        "pairwise_accuracy": untied,
        "pairwise_accuracy_per_patient": untied,
        "kendall_tau_b": moving,
        "c_index": contributing(truth.patient, comparable),
        "rm_correlation": contributing(truth.patient),
    }
    return Prepared(sums, n)


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * pairwise accuracy: (pairs ordered right + predicted ties / 2) / pairs whose scores differ. A patient with many
      visits weighs more; in the mean over patients all weigh the same;
    * C-index: the same over all pairs, even if only neighbouring visits are scored: Harrell's C within patients (doi
      10.1001/jama.1982.03320430047030);
    * Kendall's τ-b: mean over the patients for whom it is defined;
    * repeated-measures correlation: of score and prediction about each patient's own mean (for scans, their visit's),
      with one slope for all (Bakdash & Marusich, doi 10.3389/fpsyg.2017.00456).
    """
    pairs, every, tau = (summed(data[name], counts) for name in ("pairs", "all", "tau"))
    share = summed(data["share"], counts)
    xx, yy, xy = summed(data["squares"], counts)
    moves = (xx > 0) & (yy > 0)
    return {
        "pairwise_accuracy": ratio(pairs[0], pairs[1]),
        "pairwise_accuracy_per_patient": ratio(share[0], share[1]),
        "kendall_tau_b": ratio(tau[0], tau[1]),
        "c_index": ratio(every[0], every[1]),
        "rm_correlation": jnp.where(moves, jnp.clip(xy / jnp.sqrt(jnp.where(moves, xx * yy, 1)), -1, 1), jnp.nan),
    }


def patient_tau(up: np.ndarray, guess: np.ndarray, patient: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Kendall's τ-b of each patient ``[width]``, and 1 where it is defined: at least two distinct true scores.

    ``τ = (C - D) / sqrt((n0 - Tx) (n0 - Ty))``; 0 if all predictions are tied, since nothing was ordered then. Source:
    doi 10.1093/biomet/33.3.239.

    Args:
      up, guess: signs of the true and predicted differences of *all* pairs of a patient ``[k]``, true ties included.
        For pairs within visits (scans), C, D and ties are pooled over the patient's visits.
      patient: of each pair, below ``width``.
      width: number of patients, padded.
    """
    agreement, untied, guessed = (np.bincount(patient, x, width) for x in (up * guess, up != 0, guess != 0))
    pairs = untied * guessed
    tau = np.where(pairs > 0, agreement / np.sqrt(np.where(pairs > 0, pairs, 1)), 0)
    return tau, (untied > 0).astype(float)


def _share(sums: np.ndarray) -> np.ndarray:
    """From sums of right and of all pairs ``[p 2]``: each patient's share, and 1 where there is one."""
    some = sums[:, 1] > 0
    return np.stack([np.where(some, sums[:, 0] / np.where(some, sums[:, 1], 1), 0), some], 1).astype(np.float32)


FAMILY = Family(QUANTITIES, prepare, statistic)
