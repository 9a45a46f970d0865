"""The noise ceiling: what an oracle would score that knows the true score, against scores measured with error."""

import dataclasses

import numpy as np

from learner_jax.evaluators.analyses.api import Case, of_scores, register
from learner_jax.evaluators.predictions import Truth
from learner_jax.evaluators.quantities import QUANTITIES
from learner_jax.evaluators.scoring import Estimate, estimate, mean_of
from learner_jax.evaluators.statistics.bootstrap import Replicates, Resampling

_DRAWS = 16
_FAMILIES = ("order", "direction", "psychometric", "three_way", "amount", "coarse")
NOT_STATED = "the score's measurement error is not stated: set --config.eval.label_noise=… (its SD, in score units)"


def noise_ceiling(truth: Truth, label_noise: float, resampling: Resampling) -> list[Estimate]:
    """What the true scores would score against the measured ones, the mean over 16 draws of the true scores.

    A measured score is the true one plus an error of SD ``label_noise``, and true scores lie normally about a patient's
    mean. Then ``true = mean + ρ (measured - mean) + N(0, ρ label_noise²)``, where ρ is the share of the variance within
    patients that is no error, and only its differences within patients matter. A second measurement (measured plus
    another error) would agree better than the truth does, for it repeats the error of the first.

    One variance serves all patients, so the ceiling is too high where some hardly move: on the demo's cohort, of
    which a tenth never moves, it says 0.83 of pairs in order where the simulated true scores reach 0.79.
    """
    score, owner = truth.observations.score.astype(np.float64), truth.patient_of
    visits = np.bincount(owner)
    mean = (np.bincount(owner, score) / visits)[owner]
    freedom = np.sum(visits - 1)
    within = np.sum((score - mean) ** 2) / freedom if freedom else 0.0
    rho = max(1 - label_noise**2 / within, 0.0) if within else 0.0
    rng = np.random.default_rng(0)
    drawn = [mean + rho * (score - mean) + rng.normal(0, rho**0.5 * label_noise, len(score)) for _ in range(_DRAWS)]
    return mean_of([estimate(of_scores(truth, scores), resampling, _FAMILIES) for scores in drawn])


@register("of_ceiling")
def of_ceiling(case: Case) -> list[Estimate] | str:
    """Of each quantity with a known chance level: ``(value - chance) / (ceiling - chance)``; 1 is the ceiling."""
    if not case.config.label_noise:
        return NOT_STATED
    own = {(one.name, one.at): one for one in estimate(case.predictions, case.resampling, _FAMILIES)}
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
