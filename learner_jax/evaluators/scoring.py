"""Predictions -> rows: every family of quantities, over one set of draws of the patients.

Everything is computed in the one order of :class:`Truth`, so the numbers depend neither on the order nor on the batches
in which scans were embedded.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from learner_jax.config import EvalConfig
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities import FAMILIES, QUANTITIES
from learner_jax.evaluators.quantities.api import N, Prepared
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.statistics.bootstrap import Replicates, Resampling, Statistic, means
from learner_jax.evaluators.statistics.intervals import make_row, percentile_interval

SEED = 0  # one for all runs, so that two arms are resampled on the same patients


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One quantity with its replicates: rows are made from it, and runs are compared by it.

    Attributes:
      name: of the quantity.
      at: which of several values this is (a class, a bin, a threshold); empty for a quantity with one value.
      replicates: the value, and what it becomes when patients are resampled or left out.
      n: patients and pairs behind it.
      note: why it has no interval; empty where it has one.
      over_patients: False where something other than patients was drawn; the interval is then the plain range of the
        draws, without the correction for few patients.
    """

    name: str
    at: str
    replicates: Replicates
    n: N
    note: str = ""
    over_patients: bool = True

    def under(self, label: str) -> "Estimate":
        """The same estimate under another label."""
        return dataclasses.replace(self, at=label)

    def row(self, config: EvalConfig) -> Row:
        """Value, interval and counts; ``config`` gives ``interval`` and ``confidence``."""
        if self.note:
            return Row(self.name, self.replicates.value, None, None, *self.n, self.note, self.at)
        if not self.over_patients:
            ends = percentile_interval(self.replicates.drawn, config.confidence)
            return Row(self.name, self.replicates.value, *ends, *self.n, at=self.at)
        n_patients, n_pairs = self.n
        return make_row(
            self.name,
            self.replicates,
            method=config.interval,
            confidence=config.confidence,
            n_patients=n_patients,
            n_pairs=n_pairs,
            undefined=QUANTITIES[self.name].undefined if self.name in QUANTITIES else "undefined",
            at=self.at,
        )


def draws(n_patients: int, config: EvalConfig) -> Resampling:
    """The ``config.bootstrap`` draws of ``n_patients`` that every row of a table is resampled with."""
    return Resampling.draw(n_patients, config.bootstrap, SEED)


def estimate(
    predictions: Predictions, resampling: Resampling, families: Iterable[str] = tuple(FAMILIES)
) -> list[Estimate]:
    """Every quantity that these predictions allow.

    Args:
      predictions: of one read-out.
      resampling: of the patients of ``predictions.truth``.
      families: names of :data:`~learner_jax.evaluators.quantities.FAMILIES`.
    """
    estimates = []
    for name in families:
        prepared = FAMILIES[name].prepare(predictions, resampling.width)
        if prepared is not None:
            estimates += _estimates(FAMILIES[name].statistic, prepared, resampling)
    return estimates


def estimate_means(
    sums: dict[str, np.ndarray], n: dict[str, N], resampling: Resampling, at: str = ""
) -> list[Estimate]:
    """Plain means over patients.

    Args:
      sums: ``{name: [width 2]}``, for each patient the sum of a value and how many of them there are.
      n: patients and pairs behind each name.
      resampling: of the patients.
      at: the label of all of them.
    """
    return _estimates(means, Prepared(sums, n, dict.fromkeys(n, (at,))), resampling)


def mean_of(each: Sequence[Sequence[Estimate]]) -> list[Estimate]:
    """The mean over several runs or draws, in the value and in every replicate; what one of them lacks is left out."""
    keyed = [{(one.name, one.at): one for one in estimates} for estimates in each]
    shared = [key for key in keyed[0] if all(key in other for other in keyed)]
    return [
        dataclasses.replace(keyed[0][key], replicates=_mean([estimates[key].replicates for estimates in keyed]))
        for key in shared
    ]


def rows(estimates: Iterable[Estimate], config: EvalConfig) -> list[Row]:
    """The row of each estimate."""
    return [one.row(config) for one in estimates]


def _estimates(statistic: Statistic, prepared: Prepared, resampling: Resampling) -> list[Estimate]:
    values = resampling.run(statistic, prepared.data)
    none = np.zeros(0, np.float32)
    estimates = []
    for name, n in prepared.n.items():
        if name in prepared.fixed:
            alone = Replicates(prepared.fixed[name], none, none)
            estimates.append(Estimate(name, "", alone, n, "of all observations at once: no interval"))
        else:
            labels = prepared.at.get(name, ("",))  # a small cohort fills, and labels, fewer bins than there are values
            each = n if isinstance(n[0], tuple) else (n,) * len(labels)
            estimates += [Estimate(name, *one) for one in zip(labels, values[name], each, strict=False)]
    return estimates


def _mean(each: Sequence[Replicates]) -> Replicates:
    value, drawn, left_out = (
        np.mean([getattr(one, field.name) for one in each], axis=0) for field in dataclasses.fields(Replicates)
    )
    return Replicates(float(value), drawn, left_out)
