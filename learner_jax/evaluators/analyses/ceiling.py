"""The noise ceiling: what an oracle would score that knows each score as well as it was measured."""

import dataclasses

import numpy as np

from learner_jax.evaluators.analyses.api import Case, register
from learner_jax.evaluators.change import change_class
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.quantities import QUANTITIES
from learner_jax.evaluators.scoring import Found, find, mean_of
from learner_jax.evaluators.statistics.bootstrap import Replicates, Resampling

_DRAWS = 16
_FAMILIES = ("order", "three_way", "amount", "coarse")
NOT_STATED = "the score's measurement error is not stated: set --config.eval.label_noise=… (its SD, in score units)"


def noise_ceiling(truth: Truth, label_noise: float, resampling: Resampling) -> list[Found]:
    """Scores of ``measured score + N(0, label_noise²)``, the mean over 16 draws of the noise.

    That is one more measurement as good as the first: it agrees with the first as well as anything can that has not
    seen it. What was measured has the noise in it already, so the true ceiling is a little lower.
    """
    rng, score = np.random.default_rng(0), truth.observations.score.astype(np.float64)
    drawn = [_oracle(truth, score + rng.normal(0, label_noise, len(score))) for _ in range(_DRAWS)]
    return mean_of([find(one, resampling, _FAMILIES) for one in drawn])


def _oracle(truth: Truth, scores: np.ndarray) -> Predictions:
    delta = scores[truth.second] - scores[truth.first]
    return Predictions(truth, delta, change_class(delta, truth.change_threshold), scores=scores)


@register("of_ceiling")
def of_ceiling(case: Case) -> list[Found] | str:
    """Of each quantity with a known chance level: ``(value - chance) / (ceiling - chance)``; 1 is the ceiling."""
    if not case.config.label_noise:
        return NOT_STATED
    own = {(one.name, one.at): one for one in find(case.predictions, case.resampling, _FAMILIES)}
    found = []
    for top in noise_ceiling(case.truth, case.config.label_noise, case.resampling):
        chance = QUANTITIES[top.name].chance
        if chance is not None and (top.name, top.at) in own:
            one = own[top.name, top.at]
            found.append(dataclasses.replace(one, replicates=_share(one.replicates, top.replicates, chance)))
    return found


def _share(value: Replicates, top: Replicates, chance: float) -> Replicates:
    def share(a, b):
        return np.divide(a - chance, b - chance, out=np.full(np.shape(a), np.nan), where=np.asarray(b) > chance)

    one = float(share(np.array(value.value), np.array(top.value)))
    return Replicates(one, share(value.drawn, top.drawn), share(value.left_out, top.left_out))
