"""What a quantity is, and a family: quantities that share their data.

A family turns :class:`~learner_jax.evaluators.predictions.Predictions` into sums per patient (or sorted entries) once,
and computes its quantities from these for any draws of patients. It never loops over replicates.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.statistics.bootstrap import Statistic

N = tuple[int, int | None]  # patients that contribute, and their pairs (None: counted in observations)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """How to read a number.

    Attributes:
      title: for tables.
      chance: its value for random predictions; None if there is no such value.
      undefined: why it may have no value.
      scale_free: whether it stays the same if all predicted differences, all scores, or all distances of an arm are
        multiplied by a number, so that arms on different scales can be compared.
    """

    title: str
    chance: float | None = None
    undefined: str = "undefined"
    scale_free: bool = False


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Data of a family's statistic, and how many patients and pairs are behind each quantity.

    Attributes:
      data: tree of arrays whose first axis is patients (padded to ``width``) or sorted entries.
      n: for each quantity that the data allow, or for each of its labels; the family's others are left out of the
        table.
      at: for a quantity with several values, their labels in order.
      fixed: values that are not resampled, being of all observations at once.
    """

    data: Any
    n: dict[str, N | tuple[N, ...]]
    at: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    fixed: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Family:
    """Quantities that are computed together.

    Attributes:
      quantities: by name, in the order of the table.
      prepare: ``(predictions, width) -> Prepared``, or None if the predictions allow none of the quantities.
      statistic: ``(data, counts [p r]) -> {name: [r] or [labels r]}``.
    """

    quantities: dict[str, Quantity]
    prepare: Callable[[Predictions, int], Prepared | None]
    statistic: Statistic


def by_patient(
    values: Float[np.ndarray, " k *f"] | np.ndarray, patient: Int[np.ndarray, " k"], width: int
) -> Float32[np.ndarray, " width *f"]:
    """Sums of ``values`` over the entries of each patient, computed in float64."""
    values = np.asarray(values, np.float64)
    sums = [np.bincount(patient, column, width) for column in values.reshape(len(values), -1).T]
    return np.stack(sums, axis=1).reshape(width, *values.shape[1:]).astype(np.float32)


def scored_probabilities(predictions: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Of each scored pair: patient ``[k]``, probabilities ``[k 3]``, and which of the three classes is true ``[k]``.

    None if there are no scored pairs or no probabilities.
    """
    truth = predictions.truth
    at = np.flatnonzero(truth.scored)
    if predictions.probability is None or at.size == 0:
        return None
    return truth.patient[at], predictions.probability[at], truth.change[at] + 1


def contributing(patient: Int[np.ndarray, " k"], which: np.ndarray | None = None) -> tuple[int, int]:
    """How many patients and pairs there are, or are among ``which`` (bool)."""
    chosen = patient if which is None else patient[which]
    return len(np.unique(chosen)), len(chosen)
