"""A linear three-way classifier of the difference of two embeddings."""

import dataclasses

import numpy as np
import scipy  # its parts are loaded where they are first used: optimize takes half a second
from jaxtyping import Float, Float64

from learner_jax.evaluators.blockwise import over_pairs, over_rows
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.readouts.api import Context, Fitted, register
from learner_jax.evaluators.readouts.decision import mean_nll
from learner_jax.evaluators.readouts.three_way import ThreeWay, pairs_to_fit, pairs_to_judge
from learner_jax.evaluators.readouts.tie import tie_logits
from learner_jax.evaluators.readouts.training_pairs import TrainingPairs

PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)  # per pair; strongest first
DEFAULT_PENALTY = 0.1  # without validation pairs


@dataclasses.dataclass(frozen=True)
class Linear(ThreeWay):
    """Logits ``(-r, log_tie, r)`` with ``r = coef · (u2 - u1)``."""

    kind: str
    in_score_units: bool
    coef: Float64[np.ndarray, " d"]
    log_tie: float
    penalty: float  # of mean(-log P) + penalty |w|^2, w on standardised differences

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return len(self.coef)

    def logits(self, first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"]) -> Float64[np.ndarray, "k 3"]:
        """Of a decrease, stable and an increase."""
        r = over_rows(lambda a, b: ((b - a) * self.coef).sum(axis=1), first, second)
        return tie_logits(r, self.log_tie)


@register("linear", Linear)
def linear(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """Multinomial logistic regression on standardised differences, with an L2 penalty chosen on validation pairs.

    On pairs in both orders, the best weights of increase and decrease are opposite and those of stable are 0, since the
    cost is convex and does not change when all pairs are swapped. That leaves ``d + 1`` parameters, and makes it the
    likelihood of Davidson (doi 10.1080/01621459.1970.10481082) on a frozen embedding. Without validation pairs the
    penalty is 0.1 per pair.
    """
    pairs = pairs_to_fit("linear", train, context)
    if isinstance(pairs, str):
        return pairs
    judge = pairs_to_judge(val, context)
    penalties = PENALTIES if len(judge[0]) else (DEFAULT_PENALTY,)
    best, least, at = None, np.inf, np.zeros(pairs.x.shape[1] + 1)
    for penalty in penalties:
        at = minimize_linear(pairs, penalty, at)
        model = Linear("linear", False, at[:-1] / pairs.scale, float(at[-1]), penalty)
        cost = mean_nll(over_pairs(model.logits, val.u, *judge[:2]), judge[2]) if len(judge[0]) else 0.0
        if cost < least:
            best, least = model, cost
    return Fitted(best, pairs.described, pairs.warning)


def minimize_linear(
    pairs: TrainingPairs, penalty: float, start: Float64[np.ndarray, " e"]
) -> Float64[np.ndarray, " e"]:
    """``(w [d], log_tie)`` that minimise ``sum(weight · -log P) / sum(weight) + penalty |w|^2``."""
    x, change, total = pairs.x, pairs.change, pairs.weight.sum()

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        w, tie = at[:-1], at[-1]
        r = x @ w
        logits = tie_logits(r, tie)
        log_total = np.logaddexp(np.logaddexp(r, -r), tie)
        probability = np.exp(logits - log_total[:, None])
        nll = log_total - logits[np.arange(len(r)), change + 1]
        by_r = pairs.weight * (probability[:, 2] - probability[:, 0] - change)
        by_tie = pairs.weight @ (probability[:, 1] - (change == 0))
        gradient = np.append(by_r @ x / total + 2 * penalty * w, by_tie / total)
        return float(pairs.weight @ nll / total + penalty * w @ w), gradient

    return scipy.optimize.minimize(
        cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-7}
    ).x
