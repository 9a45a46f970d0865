"""Weights of the views of a visit, for visits that were scanned in several."""

import numpy as np
from jaxtyping import Float, Float64, Int

from learner_jax.evaluators.readouts.ridge import Ridges

_FOLDS = 5


def view_weights(
    u: Float[np.ndarray, "n d"],
    score: Float[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
    visit: Int[np.ndarray, " n"],
    view: Int[np.ndarray, " n"],
    *,
    n_views: int,
) -> Float64[np.ndarray, " v"]:
    """Weights of the views, mean 1, from training scans alone: the better a view predicts the score, the higher.

    The weight is the inverse of the mean squared error of a ridge regression from the view's embeddings to the score,
    for patients that it was not fitted on (5 folds of patients). These are the best weights for independent unbiased
    estimates. A view with fewer than 10 labeled scans, with fewer than 5 patients, or whose scores are all equal gets
    the mean weight of the others.
    """
    order = np.lexsort((view, visit, patient))
    u, score, patient, view = (x[order] for x in (u, score, patient, view))
    weight = np.full(n_views, np.nan)
    for v in range(n_views):
        mine = np.flatnonzero((view == v) & ~np.isnan(score))
        if len(mine) < 2 * _FOLDS or len(np.unique(patient[mine])) < _FOLDS or np.ptp(score[mine]) == 0:
            continue
        # only patients with this view are dealt into folds, so that none is empty
        fold = np.unique(patient[mine], return_inverse=True)[1] % _FOLDS
        error = np.zeros(len(mine))
        for k in range(_FOLDS):
            out = fold == k
            fitted = Ridges.from_embeddings(u[mine[~out]].astype(np.float32)).fit(score[mine[~out]])
            error[out] = score[mine[out]] - fitted.scores(u[mine[out]])
        weight[v] = 1 / max(np.mean(error**2), 1e-12)
    known = weight[~np.isnan(weight)]
    if known.size == 0:
        return np.ones(n_views)
    weight = np.where(np.isnan(weight), known.mean(), weight)
    return weight / weight.mean()
