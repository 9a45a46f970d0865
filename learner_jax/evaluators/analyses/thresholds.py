"""What if another change counted as stable? Three-way scores and the prevalence of classes over several thresholds."""

import dataclasses

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.change import CLASSES, change_class, fit_threshold, true_change
from learner_jax.evaluators.names import WORDS
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.quantities.api import by_patient, contributing
from learner_jax.evaluators.scoring import Estimate, estimate, estimate_means

_TIMES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # the stated threshold, or if that is 0, the SD of differences


@register("thresholds")
def thresholds(case: Case) -> list[Estimate] | str:
    """Macro-F1, balanced accuracy, quadratic κ and the prevalence of each class, at each threshold.

    Decisions are refitted to each threshold on validation pairs.
    A threshold at which some class has no test pair is left out.
    """
    truth, found = case.truth, []
    at = np.flatnonzero(truth.scored)
    if at.size == 0:
        return "no fine pairs"
    unit = truth.change_threshold or float(np.std(truth.delta[at]))
    patient, width = truth.patient[at], case.resampling.width
    for threshold in unit * np.array(_TIMES):
        change = _change(truth, threshold)
        if len(np.unique(change[at])) < 3:
            continue
        called = change_class(case.predictions.delta, _decided(case, threshold))
        said = Predictions(dataclasses.replace(truth, change=change), case.predictions.delta, called)
        label = f"{threshold:.4g}"
        found += [one.under(label) for one in estimate(said, case.resampling, ["three_way"]) if one.name in _SCORES]
        share = {
            f"prevalence_{word}": by_patient(np.stack([change[at] == c, at >= 0], 1), patient, width)
            for c, word in zip(CLASSES, WORDS, strict=True)
        }
        found += estimate_means(share, dict.fromkeys(share, contributing(patient)), case.resampling, label)
    return found or "no threshold leaves test pairs in all three classes"


_SCORES = ("macro_f1", "balanced_accuracy", "quadratic_kappa")


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
