"""What the read-out owes to its labels: shuffled ones, coarser ones, those between patients and those within."""

import numpy as np

from learner_jax.evaluators.analyses.api import Case, of_scores, register
from learner_jax.evaluators.readouts.ridge import Ridges
from learner_jax.evaluators.scoring import Found, find, mean_of

_SHUFFLES = 20
_GRADES = (2, 3, 5, 10)
_SCORED = ("pairwise_accuracy", "kendall_tau_b")


@register("shuffled_labels")
def shuffled_labels(case: Case) -> list[Found] | str:
    """The primary read-out refitted to training scores that were dealt out among patients anew: order must be at chance.

    The mean over 20 deals; a deal moves whole patients where all have as many observations, else single scores.
    """
    train, rng = case.labeled_train, np.random.default_rng(0)
    scores = np.stack([rng.permutation(train.score.astype(np.float64)) for _ in range(_SHUFFLES)], axis=1)
    return mean_of([_order(case, said) for said in _refit(case, scores)])


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
    said = _refit(case, np.stack([*columns, score], axis=1))
    return [
        one.at_(label)
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
        found += [one.at_(f"fitted {name} patients") for one in scored if one.name in wanted]
    return found


def _refit(case: Case, scores: np.ndarray) -> list[np.ndarray]:
    """Predictions of test observations by a ridge on each column of training scores, each with a penalty of its own."""
    fitted = Ridges.from_embeddings(case.labeled_train.u).fit_many(scores)
    return [one.scores(case.truth.observations.u) for one in fitted]


def _order(case: Case, scores: np.ndarray) -> list[Found]:
    return [one for one in find(of_scores(case, scores), case.resampling, ["order"]) if one.name in _SCORED]


def _group_means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    total, count = np.bincount(group, values), np.bincount(group)
    return (total / np.maximum(count, 1))[group]
