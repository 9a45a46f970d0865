"""Sets of classes that hold the true one in nine of ten pairs, calibrated on validation patients."""

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.quantities.api import by_patient, contributing
from learner_jax.evaluators.scoring import Found, find_means
from learner_jax.evaluators.statistics.conformal import conformal_level, conformal_sets

COVERAGE = 0.9


@register("conformal")
def conformal(case: Case) -> list[Found] | str:
    """How often the set holds the true class, mean over patients (what is promised) and over pairs; how many classes it
    holds; and how often exactly one."""
    val = case.val_predictions
    if len(case.truth) == 0 or len(case.val_truth) == 0 or val.probability is None:
        return "no fine pairs in test, or none in validation to calibrate on"
    at, here = np.flatnonzero(case.val_truth.scored), np.flatnonzero(case.truth.scored)
    level = conformal_level(val.probability[at], case.val_truth.change[at], case.val_truth.patient[at], COVERAGE)
    if not np.isfinite(level):
        n = len(np.unique(case.val_truth.patient[at]))
        return f"{n} validation patients with fine pairs: sets of {COVERAGE:.0%} coverage need at least 9"
    held = conformal_sets(case.predictions.probability[here], level)
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
    return find_means(sums, dict.fromkeys(sums, contributing(patient)), case.resampling)
