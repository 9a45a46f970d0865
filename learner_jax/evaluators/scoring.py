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
class Found:
    """One quantity before its interval is read off: what a row is made of, and what runs are compared by."""

    name: str
    at: str
    replicates: Replicates
    n: N
    note: str = ""
    over_patients: bool = True  # False: the draws are of something else, and their range is told as it is

    def under(self, label: str) -> "Found":
        """The same under another label."""
        return dataclasses.replace(self, at=label)

    def row(self, config: EvalConfig) -> Row:
        """Value, interval and counts; ``config`` gives ``interval`` and ``confidence``."""
        if self.note:
            return Row(self.name, self.replicates.value, None, None, *self.n, self.note, self.at)
        if not self.over_patients:
            ends = percentile_interval(self.replicates.drawn, config.confidence)
            return Row(self.name, self.replicates.value, *ends, *self.n, at=self.at)
        undefined = QUANTITIES[self.name].undefined if self.name in QUANTITIES else "undefined"
        about = {"method": config.interval, "confidence": config.confidence, "undefined": undefined, "at": self.at}
        return make_row(self.name, self.replicates, n_patients=self.n[0], n_pairs=self.n[1], **about)


def draws(n_patients: int, config: EvalConfig) -> Resampling:
    """The draws of ``n_patients`` that every row of a table is resampled with."""
    return Resampling.draw(n_patients, config.bootstrap, SEED)


def find(predictions: Predictions, resampling: Resampling, families: Iterable[str] = tuple(FAMILIES)) -> list[Found]:
    """Every quantity that these predictions allow.

    Args:
      predictions: of one read-out.
      resampling: of the patients of ``predictions.truth``.
      families: names of :data:`~learner_jax.evaluators.quantities.FAMILIES`.
    """
    found = []
    for name in families:
        prepared = FAMILIES[name].prepare(predictions, resampling.width)
        if prepared is not None:
            found += _found(FAMILIES[name].statistic, prepared, resampling)
    return found


def find_means(sums: dict[str, np.ndarray], n: dict[str, N], resampling: Resampling, at: str = "") -> list[Found]:
    """Plain means: ``{name: [width 2]}``, of each patient the sum of a thing and how many of it there are."""
    return _found(means, Prepared(sums, n, dict.fromkeys(n, (at,))), resampling)


def mean_of(each: Sequence[Sequence[Found]]) -> list[Found]:
    """The mean of several findings of one kind, in the value and in every draw; what one of them lacks is left out."""
    keyed = [{(one.name, one.at): one for one in found} for found in each]
    shared = [key for key in keyed[0] if all(key in other for other in keyed)]
    return [
        dataclasses.replace(keyed[0][key], replicates=_mean([found[key].replicates for found in keyed]))
        for key in shared
    ]


def rows(found: Iterable[Found], config: EvalConfig) -> list[Row]:
    """The line of each."""
    return [one.row(config) for one in found]


def _found(statistic: Statistic, prepared: Prepared, resampling: Resampling) -> list[Found]:
    values = resampling.run(statistic, prepared.data)
    none = np.zeros(0, np.float32)
    found = []
    for name, n in prepared.n.items():
        if name in prepared.fixed:
            alone = Replicates(prepared.fixed[name], none, none)
            found.append(Found(name, "", alone, n, "of all observations at once: no interval"))
        else:
            labels = prepared.at.get(name, ("",))
            found += [Found(name, at, one, n) for at, one in zip(labels, values[name], strict=False)]
    return found


def _mean(each: Sequence[Replicates]) -> Replicates:
    of = lambda name: np.mean([getattr(one, name) for one in each], axis=0)  # noqa: E731
    return Replicates(float(of("value")), of("drawn"), of("left_out"))
