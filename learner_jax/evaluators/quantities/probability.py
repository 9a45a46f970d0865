"""Probabilities of the three classes: are they near the truth, and are they calibrated?"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import (
    Family,
    Prepared,
    Quantity,
    by_patient,
    contributing,
    scored_probabilities,
)
from learner_jax.evaluators.statistics.bootstrap import Counts, ratio, summed

_BINS = 10  # of equally many pairs
_LEAST = 1e-7  # of a probability in the log loss, which would be infinite at 0

QUANTITIES = {
    "brier": Quantity("Brier score"),
    "log_loss": Quantity("log loss"),
    "adaptive_ece": Quantity("adaptive calibration error"),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Sums per patient; None without pairs or probabilities."""
    scored = scored_probabilities(predictions)
    if scored is None:
        return None
    patient, p, true = scored
    hit = np.eye(3)[true]
    named = np.maximum(p[np.arange(len(p)), true], _LEAST)
    columns = np.stack([np.ones(len(p)), ((p - hit) ** 2).sum(1), -np.log(named)], 1)
    data = {
        "sums": by_patient(columns, patient, width),
        "bins": by_patient(confidence_gaps(p, true), patient, width),
    }
    return Prepared(data, dict.fromkeys(QUANTITIES, contributing(patient)))


def confidence_gaps(p: Float[np.ndarray, "k 3"], true: Int[np.ndarray, " k"]) -> Float[np.ndarray, "k bins"]:
    """Confidence in the likeliest class minus whether it is true, in the column of the pair's bin of confidence.

    Bins hold equally many pairs; equal confidences share a bin.
    """
    confidence = p.max(1)
    gap = confidence - (p.argmax(1) == true)
    edges = np.quantile(confidence, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.eye(_BINS)[np.searchsorted(edges, confidence, "left")] * gap[:, None]


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * Brier: mean over pairs of ``Σ_c (p_c - 1[c is true])²``, between 0 and 2 (doi
      10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2);
    * log loss: mean of ``-ln p`` of the true class;
    * adaptive calibration error: ``Σ_bins |Σ (confidence - right)| / n`` of the likeliest class over ten bins of
      equally many pairs, with the bins of the whole sample (Nixon et al., arXiv 1904.01685). It is never below 0, and
      well above it in small samples even of calibrated probabilities.
    """
    n, brier, surprise = summed(data["sums"], counts)
    return {
        "brier": ratio(brier, n),
        "log_loss": ratio(surprise, n),
        "adaptive_ece": ratio(jnp.abs(summed(data["bins"], counts)).sum(0), n),
    }


FAMILY = Family(QUANTITIES, prepare, statistic)
