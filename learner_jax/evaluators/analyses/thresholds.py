"""What if another change counted as stable? The three-way scores over a range of thresholds, with how common each class
is."""

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.change import change_class, fit_threshold, true_change
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.quantities import three_way
from learner_jax.evaluators.quantities.api import by_patient, contributing
from learner_jax.evaluators.scoring import Found, find_means, of_statistic

_TIMES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # the stated threshold; where it is 0, shares of the SD of changes


@register("thresholds")
def thresholds(case: Case) -> list[Found] | str:
    """Macro-F1, balanced accuracy and quadratic κ at each threshold, decided anew on validation pairs, and prevalences.

    A threshold at which a class has no test pair is left out.
    """
    truth, found = case.truth, []
    at = np.flatnonzero(truth.scored)
    if at.size == 0:
        return "no fine pairs"
    unit = truth.change_threshold or float(np.std(truth.delta[at]))
    for threshold in unit * np.array(_TIMES):
        change = _change(truth, threshold)
        if len(np.unique(change[at])) < 3:
            continue
        called = change_class(case.predictions.delta, _decided(case, threshold))
        matrices = three_way.confusion(change[at], called[at], truth.patient[at], case.resampling.width)
        n, label = contributing(truth.patient[at]), f"{threshold:.4g}"
        scores = of_statistic(three_way.statistic, {"matrices": matrices}, dict.fromkeys(_SCORES, n), case.resampling)
        found += [one.at_(label) for one in scores]
        share = {
            f"prevalence_{word}": by_patient(np.stack([change[at] == c, at >= 0], 1), truth.patient[at], len(matrices))
            for c, word in zip((-1, 0, 1), three_way.WORDS, strict=True)
        }
        found += find_means(share, dict.fromkeys(share, n), case.resampling, label)
    return found or "no threshold leaves test pairs in all three classes"


_SCORES = ("macro_f1", "balanced_accuracy", "quadratic_kappa")


def _change(truth: Truth, threshold: float) -> np.ndarray:
    score = truth.observations.score
    return true_change(score[truth.first], score[truth.second], threshold)


def _decided(case: Case, threshold: float) -> float:
    """The threshold on predicted differences that serves this one best on validation pairs; itself without any."""
    val: Predictions = case.val_predictions
    at = np.flatnonzero(case.val_truth.scored)
    if at.size == 0:
        return threshold
    return fit_threshold(val.delta[at], _change(case.val_truth, threshold)[at], threshold)
