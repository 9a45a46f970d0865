"""What the read-out owes to its labels: shuffled ones, coarser ones, those between patients and those within."""

import numpy as np

from learner_jax.evaluators.analyses.api import Case, of_scores, register
from learner_jax.evaluators.quantities.api import contributing
from learner_jax.evaluators.readouts.ridge import Ridges
from learner_jax.evaluators.scoring import Found, find
from learner_jax.evaluators.statistics.bootstrap import Replicates

_SHUFFLES = 200
_GRADES = (2, 3, 5, 10)
_SCORED = ("pairwise_accuracy", "kendall_tau_b")


@register("shuffled_labels")
def shuffled_labels(case: Case) -> list[Found] | str:
    """The primary read-out refitted to training scores that were dealt out among the observations anew.

    Mean pairwise accuracy over 200 deals, with their 95 % range in place of an interval over patients, and the share of
    deals that do as well as the true scores (the true ones counted in): it is a p-value of the null hypothesis that
    labels tell the read-out nothing (Ojala & Garriga, JMLR 11 (2010) 1833). A single deal may be far from 0.5: the
    embedding has directions in which visits are ordered, whichever of them the labels pick.
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
    return [Found("pairwise_accuracy", f"mean {told}", mean, n), Found("p_value", told, p, n, "no interval")]


def _right(scores: np.ndarray, first: np.ndarray, second: np.ndarray, up: np.ndarray) -> float:
    return float(np.mean(1 + up * np.sign(scores[second] - scores[first])) / 2)


@register("grades")
def grades(case: Case) -> list[Found] | str:
    """Order within patients where the read-out is fitted to scores in 2, 3, 5 and 10 grades of equally many, and to all
    of them: what coarseness of the label alone costs."""
    score = case.labeled_train.score.astype(np.float64)
    columns, labels = [], []
    for n in _GRADES:
        grade = np.searchsorted(np.quantile(score, np.arange(1, n) / n), score, "left")
        columns.append(_group_means(score, grade))
        labels.append(f"{n} grades")
    said = _refit(case, [*columns, score])
    return [
        one.under(label)
        for scores, label in zip(said, [*labels, "continuous"], strict=True)
        for one in _order(case, scores)
    ]


@register("transfer")
def transfer(case: Case) -> list[Found] | str:
    """Trained between, tested within, and the other way: a ridge on differences between the means of patients, on
    differences from each patient's mean, or on both, each scored on order within and between test patients."""
    train = case.labeled_train
    score = train.score.astype(np.float64)
    _, owner = np.unique(train.patient, return_inverse=True)
    u = train.u.astype(np.float64)
    mean_u = np.stack([np.bincount(owner, column) for column in u.T], axis=1) / np.bincount(owner)[:, None]
    mean_score = np.bincount(owner, score) / np.bincount(owner)
    fits = {"between": (mean_u, mean_score)}
    if len(owner) > len(mean_u):
        fits |= {"within": (u - mean_u[owner], score - mean_score[owner]), "both": (u, score)}
    found = []
    for name, (x, y) in fits.items():
        if np.ptp(y) == 0:
            continue
        said = Ridges.from_embeddings(x.astype(np.float32)).fit(y).scores(case.truth.observations.u)
        wanted = ("pairwise_accuracy", "kendall_tau_b", "coarse_c_index")
        scored = find(of_scores(case, said), case.resampling, ["order", "coarse"])
        found += [one.under(f"fitted {name} patients") for one in scored if one.name in wanted]
    return found


def _refit(case: Case, scores: list[np.ndarray]) -> list[np.ndarray]:
    """Predictions of test observations by a ridge on each set of training scores, each with a penalty of its own."""
    fitted = Ridges.from_embeddings(case.labeled_train.u).fit_many(np.stack(scores, axis=1))
    return [one.scores(case.truth.observations.u) for one in fitted]


def _order(case: Case, scores: np.ndarray) -> list[Found]:
    return [one for one in find(of_scores(case, scores), case.resampling, ["order"]) if one.name in _SCORED]


def _group_means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    total, count = np.bincount(group, values), np.bincount(group)
    return (total / np.maximum(count, 1))[group]
