"""Batches of pairs of patients with prescribed score differences: spread evenly, or large ones first."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from learner_jax.config import Config
from learner_jax.data.samplers.api import Endless, Pool, permutation, random_bits, samplers, uniform
from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Rows 2i and 2i + 1 are scans of two patients; the differences of their scores are spread evenly.

    The first scans of the pairs run through permutations of all scans. A difference too large for such a scan goes to a
    random scan that can reach it instead, so an epoch leaves out some scans with scores in the middle.

    Attributes:
      pool: in the order of the scores.
      batch_size: even.
      least: step -> smallest score difference, as a fraction of the largest.
    """

    pool: Pool
    batch_size: int
    least: Callable[[int], float]
    note: str = ""

    def rows(self, seed: int, step: int) -> np.ndarray:
        """See :class:`~learner_jax.data.samplers.api.Sampler`."""
        half, score = self.batch_size // 2, self.pool.score
        largest = float(score[-1] - score[0])
        low = self.least(step)
        wanted = (np.arange(half) + uniform(half, seed, step, purpose=1)) / half
        wanted = np.sort((low + (1 - low) * wanted) * largest)
        reach = self._reach
        first = self._endless(step * half, (step + 1) * half, seed)
        first = first[np.argsort(reach[first], kind="stable")]  # the largest differences go to those with most reach
        bits = random_bits(3 * half, seed, step, purpose=2).reshape(3, half)
        pairs = []
        for anchor, difference, (swap, side, tie) in zip(first.tolist(), wanted.tolist(), bits.T.tolist(), strict=True):
            if reach[anchor] < difference:
                wide = self._by_reach[1][np.searchsorted(self._by_reach[0], difference) :]
                anchor = int(wide[swap % len(wide)])
            pairs.append((anchor, self._partner(anchor, difference, bool(side & 1), tie)))
        pairs = np.array(pairs)[permutation(half, seed, step, purpose=3)]
        return self.pool.row[pairs.ravel()]

    def _partner(self, anchor: int, difference: float, up: bool, tie: int) -> int:
        """The scan of another patient whose score is closest to ``difference`` above or below; ``tie`` breaks ties."""
        score, patient = self._score, self.pool.patient
        y = float(score[anchor])
        if up and y + difference > score[-1]:
            up = False
        elif not up and y - difference < score[0]:
            up = True
        target = y + difference if up else y - difference
        right = int(np.searchsorted(score, target))
        left = right - 1
        while left >= 0 and patient[left] == patient[anchor]:
            left -= 1
        while right < len(score) and patient[right] == patient[anchor]:
            right += 1
        inside = [i for i in (left, right) if 0 <= i < len(score)]  # at least one: there is another patient
        best = score[min(inside, key=lambda i: abs(float(score[i]) - target))]
        equal = np.arange(np.searchsorted(score, best), np.searchsorted(score, best, side="right"))
        equal = equal[patient[equal] != patient[anchor]]
        return int(equal[tie % len(equal)])

    @functools.cached_property
    def _endless(self) -> Endless:
        return Endless(len(self.pool))

    @functools.cached_property
    def _score(self) -> np.ndarray:
        """The scores in float64; to search float32 for a Python float, NumPy would convert all of them each time."""
        return self.pool.score.astype(np.float64)

    @functools.cached_property
    def _reach(self) -> np.ndarray:
        """Largest difference that each scan has to any other."""
        score = self.pool.score
        return np.maximum(score - score[0], score[-1] - score)

    @functools.cached_property
    def _by_reach(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self._reach, kind="stable")
        return self._reach[order].astype(np.float64), order


@samplers.register("score_balanced")
def score_balanced(config: Config, pool: Pool) -> Pairs:
    """Differences of scores uniform between 0 and the largest.

    Raises:
      InputError: there is only one patient, or the batch is odd.
    """
    return _pairs(config, pool, lambda step: 0.0)


@samplers.register("curriculum")
def curriculum(config: Config, pool: Pool) -> Pairs:
    """Coarse to fine: the smallest difference falls from ``curriculum_start`` to 0 over the first part of the run.

    Raises:
      InputError: there is only one patient, or the batch is odd.
    """
    start, steps = config.sampler.curriculum_start, config.sampler.curriculum_share * config.steps
    return _pairs(config, pool, lambda step: start * max(0.0, 1 - step / steps))


def _pairs(config: Config, pool: Pool, least: Callable[[int], float]) -> Pairs:
    if pool.n_patients < 2:
        raise InputError(
            f"{config.sampler.name} pairs scans of two patients, and the training split has {pool.n_patients}. Set "
            "another --config.sampler.name"
        )
    if config.batch_size % 2:
        raise InputError(
            f"config.batch_size is {config.batch_size}, and {config.sampler.name} makes pairs; set "
            f"--config.batch_size={config.batch_size + 1}"
        )
    return Pairs(pool.take(np.argsort(pool.score, kind="stable")), config.batch_size, least)
