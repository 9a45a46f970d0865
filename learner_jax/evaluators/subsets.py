"""Order within a subset of the pairs, over the same draws of all patients."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool

from learner_jax.config import EvalConfig
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities import FAMILIES
from learner_jax.evaluators.scoring import Estimate, estimate
from learner_jax.evaluators.statistics.bootstrap import Resampling

# The other quantities of order correlate or rank observations, and need every pair of these.
_OF_ANY_PAIRS = ("pairwise_accuracy", "pairwise_accuracy_per_patient", "kendall_tau_b")


def estimate_with_late(
    predictions: Predictions, resampling: Resampling, config: EvalConfig, families: Iterable[str] = tuple(FAMILIES)
) -> list[Estimate]:
    """:func:`scoring.estimate`, and with ``config.late_from_days`` also the order among visits from that day on."""
    estimates = estimate(predictions, resampling, families)
    if config.late_from_days:
        days = predictions.truth.observations.time_days[predictions.truth.first]
        late = days >= config.late_from_days - 1e-6
        estimates += of_subset(predictions, late, f"from day {config.late_from_days:g}", resampling)
    return estimates


def of_subset(
    predictions: Predictions, which: Bool[np.ndarray, " k"], label: str, resampling: Resampling
) -> list[Estimate]:
    """Quantities of order that are defined on any set of pairs, over the pairs ``which``; empty without such pairs."""
    if not which.any():
        return []
    truth = predictions.truth
    fields = ("first", "second", "patient", "group_size", "delta", "change", "scored")
    subset = dataclasses.replace(truth, **{name: getattr(truth, name)[which] for name in fields})
    predicted = Predictions(subset, predictions.delta[which], predictions.change[which])
    return [one.under(label) for one in estimate(predicted, resampling, ["order"]) if one.name in _OF_ANY_PAIRS]
