"""What if another change counted as stable? Three-way scores and the prevalence of classes over several thresholds."""

import dataclasses

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.change import CLASSES, change_class, fit_threshold, true_change
from learner_jax.evaluators.names import WORDS
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.quantities.api import by_patient, contributing
from learner_jax.evaluators.scoring import Estimate, estimate, estimate_means

_SCORES = ("macro_f1", "balanced_accuracy", "quadratic_kappa")
_TIMES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # the stated threshold, or if that is 0, the SD of differences


@register("thresholds")
def thresholds(case: Case) -> list[Estimate] | str:
    """Macro-F1, balanced accuracy, quadratic κ and the prevalence of each class, at each threshold.

    Decisions are refitted to each threshold on validation pairs.
    A threshold at which some class has no test pair is left out.
    """
    truth, estimates = case.truth, []
    at = np.flatnonzero(truth.scored)
    if at.size == 0:
        return "no fine pairs"
    unit = truth.change_threshold or float(np.std(truth.delta[at]))
    patient, width, ones = truth.patient[at], case.resampling.width, np.ones(len(at))
    for threshold in unit * np.array(_TIMES):
        change, label = _change(truth, threshold), f"{threshold:.4g}"
        if len(np.unique(change[at])) < 3:
            continue
        called = change_class(case.predictions.delta, _decided(case, threshold))
        predictions = Predictions(dataclasses.replace(truth, change=change), case.predictions.delta, called)
        three_way = estimate(predictions, case.resampling, ["three_way"])
        estimates += [one.under(label) for one in three_way if one.name in _SCORES]
        prevalence = {
            f"prevalence_{word}": by_patient(np.stack([change[at] == c, ones], 1), patient, width)
            for c, word in zip(CLASSES, WORDS, strict=True)
        }
        n = dict.fromkeys(prevalence, contributing(patient))
        estimates += estimate_means(prevalence, n, case.resampling, label)
    return estimates or "no threshold leaves test pairs in all three classes"


def _change(truth: Truth, threshold: float) -> np.ndarray:
    score = truth.observations.score
    return true_change(score[truth.first], score[truth.second], threshold)


def _decided(case: Case, threshold: float) -> float:
    """The threshold on predicted differences that suits this one best on validation pairs; without any, this one."""
    val: Predictions = case.val_predictions
    at = np.flatnonzero(case.val_truth.scored)
    if at.size == 0:
        return threshold
    return fit_threshold(val.delta[at], _change(case.val_truth, threshold)[at], threshold)
