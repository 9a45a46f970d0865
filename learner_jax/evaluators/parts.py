"""Order asked of a part of the pairs by itself, in the draws of all patients."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool

from learner_jax.config import EvalConfig
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities import FAMILIES
from learner_jax.evaluators.scoring import Found, find
from learner_jax.evaluators.statistics.bootstrap import Resampling

# The others need every pair of the observations that they correlate or rank.
_OF_SOME_PAIRS = ("pairwise_accuracy", "pairwise_accuracy_per_patient", "kendall_tau_b")


def find_with_late(
    predictions: Predictions, resampling: Resampling, config: EvalConfig, families: Iterable[str] = tuple(FAMILIES)
) -> list[Found]:
    """:func:`scoring.find`, and with ``config.late_from_days`` order among the visits from that day on."""
    found = find(predictions, resampling, families)
    if config.late_from_days:
        days = predictions.truth.observations.time_days[predictions.truth.first]
        late = days >= config.late_from_days - 1e-6
        found += of_part(predictions, late, f"from day {config.late_from_days:g}", resampling)
    return found


def of_part(predictions: Predictions, which: Bool[np.ndarray, " k"], label: str, resampling: Resampling) -> list[Found]:
    """The quantities of order that any pairs have, over the pairs ``which``; none where there are no such pairs."""
    if not which.any():
        return []
    truth = predictions.truth
    fields = ("first", "second", "patient", "group_size", "delta", "change", "scored")
    part = dataclasses.replace(truth, **{name: getattr(truth, name)[which] for name in fields})
    said = Predictions(part, predictions.delta[which], predictions.change[which])
    return [one.under(label) for one in find(said, resampling, ["order"]) if one.name in _OF_SOME_PAIRS]
