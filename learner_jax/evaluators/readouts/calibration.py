"""How far a read-out's word can be trusted for a new patient, from the fine pairs of validation patients."""

import dataclasses

import numpy as np
from jaxtyping import Float64, Int

from learner_jax.evaluators.statistics.conformal import conformal_level, conformal_quantile

COVERAGE = 0.9


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What holds for ``coverage`` of the pairs of a new patient, one pair of each patient drawn.

    The guarantee is over patients who are like those of validation, on whom the few numbers of the decision (and a
    ridge's penalty) were fitted too: it is good to about those, and the evaluator measures it on test patients
    (``conformal`` in ``scores.csv``).
    """

    coverage: float
    n_patients: int  # of validation with fine pairs
    level: float | None  # 1 - p of a class in the set of classes; None: no probabilities, or too few patients
    half_width: float | None  # of the interval around a delta, score units; None: not in them, or too few patients

    @property
    def least_patients(self) -> int:
        """How many validation patients it takes to promise anything."""
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
      probability: of the classes -1, 0, 1; None where the read-out gives none.
      change: what is true of each pair.
      error: predicted - true delta in score units; None where the read-out's delta is in others.
      patient: whose pair each is, any integers.
    """
    level = None if probability is None else conformal_level(probability, change, patient, coverage)
    width = None if error is None else conformal_quantile(np.abs(error), patient, coverage)
    return Calibration(coverage, len(np.unique(patient)), _finite(level), _finite(width))


def _finite(bound: float | None) -> float | None:
    return None if bound is None or not np.isfinite(bound) else bound
