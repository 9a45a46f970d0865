"""Sets of classes that hold the true one for nine pairs in ten, calibrated on validation patients."""

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.quantities.api import by_patient, contributing
from learner_jax.evaluators.scoring import Estimate, estimate_means
from learner_jax.evaluators.statistics.conformal import conformal_sets


@register("conformal")
def conformal(case: Case) -> list[Estimate] | str:
    """How often sets hold the true class, as mean over patients (which is what they promise) and over pairs; how many
    classes they hold; and how often exactly one."""
    calibration = case.readout.calibration
    if len(case.truth) == 0 or calibration.n_patients == 0:
        return "no fine pairs in test, or none in validation to calibrate on"
    if calibration.level is None:
        return (
            f"sets of {calibration.coverage:.0%} coverage take {calibration.least_patients} validation patients with "
            f"fine pairs, and the run had {calibration.n_patients}"
        )
    here = np.flatnonzero(case.truth.scored)
    held = conformal_sets(case.predictions.probability[here], calibration.level)
    patient, width = case.truth.patient[here], case.resampling.width
    right, size = held[np.arange(len(here)), case.truth.change[here] + 1], held.sum(1)
    one = np.ones(len(here))
    own = np.bincount(patient, minlength=width)[patient]
    sums = {
        "coverage_per_patient": by_patient(np.stack([right / own, one / own], 1), patient, width),
        "coverage": by_patient(np.stack([right, one], 1), patient, width),
        "set_size": by_patient(np.stack([size, one], 1), patient, width),
        "one_class": by_patient(np.stack([size == 1, one], 1), patient, width),
    }
    return estimate_means(sums, dict.fromkeys(sums, contributing(patient)), case.resampling)
