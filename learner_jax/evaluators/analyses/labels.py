"""What the read-out owes to its labels: shuffled labels, coarser ones, differences between patients or within them."""

from collections.abc import Iterator

import numpy as np

from learner_jax.evaluators.analyses.api import Case, of_scores, register
from learner_jax.evaluators.blockwise import blocks
from learner_jax.evaluators.pairs import Observations, group_means, group_starts
from learner_jax.evaluators.quantities.api import contributing
from learner_jax.evaluators.readouts.ridge import Ridges
from learner_jax.evaluators.scoring import Estimate, estimate
from learner_jax.evaluators.statistics.bootstrap import Replicates

_SHUFFLES = 200
_GRADES = (2, 3, 5, 10)
_SCORED = ("pairwise_accuracy", "kendall_tau_b")


@register("shuffled_labels")
def shuffled_labels(case: Case) -> list[Estimate] | str:
    """The primary read-out refitted to training scores that were shuffled among the observations.

    Mean pairwise accuracy over 200 shuffles, with their 95 % range in place of an interval over patients; and the share
    of shuffles that do as well as the true scores, these included: a p-value of the null hypothesis that labels tell
    the read-out nothing (Ojala & Garriga, JMLR 11 (2010) 1833). A single shuffle may be far from 0.5: the embedding has
    directions along which visits are ordered, whichever of them the labels pick.
    """
    truth, rng = case.truth, np.random.default_rng(0)
    moved = np.flatnonzero(truth.scored & (truth.delta != 0))
    if moved.size == 0:
        return "no fine pair differs in its score"
    own = case.labeled_train.score.astype(np.float64)
    deals = [own, *(rng.permutation(own) for _ in range(_SHUFFLES))]
    up = np.sign(truth.delta[moved])
    right = np.array([_right(scores, truth.first[moved], truth.second[moved], up) for scores in _refit(case, deals)])
    none = np.zeros(0)
    n = contributing(truth.patient[moved])
    mean = Replicates(float(right[1:].mean()), right[1:], none)
    p = Replicates(float(np.mean(right >= right[0] - 1e-12)), none, none)
    told = f"of {_SHUFFLES} deals of the scores"
    return [
        Estimate("pairwise_accuracy", f"mean {told}", mean, n, over_patients=False),
        Estimate("p_value", told, p, n, "no interval"),
    ]


def _right(scores: np.ndarray, first: np.ndarray, second: np.ndarray, up: np.ndarray) -> float:
    return float(np.mean(1 + up * np.sign(scores[second] - scores[first])) / 2)


@register("grades")
def grades(case: Case) -> list[Estimate] | str:
    """Order within patients for read-outs fitted to scores in 2, 3, 5 and 10 grades of equal size, and to the scores
    themselves: the cost of coarse labels alone."""
    score = case.labeled_train.score.astype(np.float64)
    rising, targets = np.argsort(score, kind="stable"), {}
    for n in _GRADES:
        grade = np.searchsorted(np.quantile(score, np.arange(1, n) / n), score[rising], "left")
        means, sizes = group_means(score[rising], group_starts(grade))
        targets[f"{n} grades"] = graded = np.empty_like(score)
        graded[rising] = np.repeat(means, sizes)
    targets["continuous"] = score
    predicted = zip(targets, _refit(case, list(targets.values())), strict=True)
    return [one.under(label) for label, scores in predicted for one in _order(case, scores)]


@register("transfer")
def transfer(case: Case) -> list[Estimate] | str:
    """Fitted between patients and tested within them, and the reverse.

    Ridge regressions on patients' means, on differences from these means, and on the observations themselves, each
    scored on order within and between test patients.
    """
    found = []
    for name, x, y in _levels(case.labeled_train):
        if np.ptp(y) == 0:
            continue
        predicted = Ridges.from_embeddings(x).fit(y).scores(case.truth.observations.u)
        wanted = ("pairwise_accuracy", "kendall_tau_b", "coarse_c_index")
        scored = estimate(of_scores(case.truth, predicted), case.resampling, ["order", "coarse"])
        found += [one.under(f"fitted {name} patients") for one in scored if one.name in wanted]
    return found


def _levels(train: Observations) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, embeddings and scores of the patients' means, of the differences from them, and of the observations."""
    score, starts = train.score.astype(np.float64), group_starts(train.patient)
    mean_u, sizes = group_means(train.u, starts)
    mean_score, _ = group_means(score, starts)
    yield "between", mean_u.astype(np.float32), mean_score
    if len(train) > len(starts):
        owner, apart = np.repeat(np.arange(len(starts)), sizes), train.u.copy()
        for at in blocks(len(apart)):
            apart[at] -= mean_u[owner[at]]
        yield "within", apart, score - mean_score[owner]
        yield "both", train.u, score


def _refit(case: Case, scores: list[np.ndarray]) -> list[np.ndarray]:
    """Scores of test observations predicted by ridge regressions to each set of training scores, each with its own
    penalty."""
    fitted = Ridges.from_embeddings(case.labeled_train.u).fit_many(np.stack(scores, axis=1))
    return [one.scores(case.truth.observations.u) for one in fitted]


def _order(case: Case, scores: np.ndarray) -> list[Estimate]:
    return [one for one in estimate(of_scores(case.truth, scores), case.resampling, ["order"]) if one.name in _SCORED]
