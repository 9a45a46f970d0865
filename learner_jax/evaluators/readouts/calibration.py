"""How far a read-out's predictions for a new patient can be trusted, from the fine pairs of validation patients."""

import dataclasses

import numpy as np
from jaxtyping import Float64, Int

from learner_jax.evaluators.statistics.conformal import conformal_level, conformal_quantile

COVERAGE = 0.9


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Bounds that hold with probability ``coverage`` for a random pair of a new patient.

    The patient must be like those of validation. On these the few numbers of the decision, and a ridge's penalty, were
    fitted too, so the promise is only approximate; the evaluator measures it on test patients (``conformal`` in
    ``scores.csv``).
    """

    coverage: float
    n_patients: int  # of validation, with fine pairs
    level: float | None  # a set holds the classes with 1 - p up to this; None: no probabilities, or too few patients
    half_width: float | None  # of the interval around a delta, score units; None: other units, or too few patients

    @property
    def least_patients(self) -> int:
        """How many validation patients with fine pairs are needed to promise anything."""
        return int(np.ceil(self.coverage / (1 - self.coverage) - 1e-9))


def calibrate(
    probability: Float64[np.ndarray, "k 3"] | None,
    change: Int[np.ndarray, " k"],
    error: Float64[np.ndarray, " k"] | None,
    patient: Int[np.ndarray, " k"],
    coverage: float = COVERAGE,
) -> Calibration:
    """Calibrate on the fine pairs of validation.

    Args:
      probability: of the classes -1, 0, 1; None if the read-out gives none.
      change: the true class of each pair.
      error: predicted - true delta in score units; None if the read-out's delta has other units.
      patient: of each pair, any integers.
      coverage: the probability with which the bounds are to hold.
    """
    level = None if probability is None else conformal_level(probability, change, patient, coverage)
    width = None if error is None else conformal_quantile(np.abs(error), patient, coverage)
    return Calibration(coverage, len(np.unique(patient)), _finite(level), _finite(width))


def _finite(bound: float | None) -> float | None:
    return None if bound is None or not np.isfinite(bound) else bound
