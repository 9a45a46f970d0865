"""What an analysis is, and what it is given."""

import dataclasses
from collections.abc import Callable
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from learner_jax.config import EvalConfig
from learner_jax.evaluators.change import change_class
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.predictions import Predictions, Truth, predict
from learner_jax.evaluators.readouts import Readout
from learner_jax.evaluators.scoring import Estimate
from learner_jax.evaluators.statistics.bootstrap import Resampling
from learner_jax.registry import Registry


@dataclasses.dataclass(frozen=True)
class Case:
    """One encoder with its primary read-out, and everything that an analysis may look at."""

    config: EvalConfig
    train: Observations
    val: Observations
    readout: Readout  # the primary one
    truth: Truth  # of test
    predictions: Predictions  # of test, by the primary read-out
    resampling: Resampling  # of the patients of test
    views: tuple[str, ...]
    sites: tuple[str, ...]
    site: np.ndarray  # of each cohort row, index into sites

    @cached_property
    def val_truth(self) -> Truth:
        """The truth about the validation pairs."""
        return Truth.of(self.val, self.config.pairs, self.config.order, self.readout.change_threshold)

    @cached_property
    def val_predictions(self) -> Predictions:
        """The primary read-out's predictions of the validation pairs."""
        return predict(self.readout, self.val_truth)

    @cached_property
    def labeled_train(self) -> Observations:
        """Training observations that carry the score, in canonical order."""
        return self.train.sorted().labeled_only()


Analysis = Callable[[Case], list[Estimate] | str]

analyses: Registry[Analysis] = Registry("analysis", "config.eval")
register = analyses.register


def of_scores(truth: Truth, scores: Float64[np.ndarray, " m"]) -> Predictions:
    """Predictions of the pairs from a score per observation; a pair is called changed beyond the true threshold."""
    delta = scores[truth.second] - scores[truth.first]
    return Predictions(truth, delta, change_class(delta, truth.change_threshold), scores=scores)
