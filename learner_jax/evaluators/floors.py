"""Floors: the scores that an encoder has to beat.

Most floors are features that go through the same read-out and the same scoring as embeddings: when a scan was taken,
where on the body, what is known about the patient, raw pixels, an untrained backbone. Two floors use neither scans nor
features: the most frequent class, and the first score of a pair, since a patient who starts low mostly rises
(regression to the mean).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Num

from learner_jax.data.cohort import Cohort
from learner_jax.evaluators.change import CLASSES, change_class, fit_threshold
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.predictions import Predictions, Truth

_SIDE = 8


def time_features(
    time_days: Float[np.ndarray, " n"], visit: Int[np.ndarray, " n"], train: Int[np.ndarray, " r"]
) -> Float32[np.ndarray, "n f"]:
    """When the scan was taken, but nothing that it shows: days since the first visit, and the visit's ordinal.

    Unknown days become the training mean, with a further column that marks them.
    """
    return np.stack([*_filled(time_days, train), visit], axis=1).astype(np.float32)


def view_features(view: Int[np.ndarray, " n"], n_views: int) -> Float32[np.ndarray, "n v"]:
    """Where the scan was taken, but nothing that it shows: one-hot views."""
    return np.eye(n_views, dtype=np.float32)[view]


def covariate_features(cohort: Cohort) -> Float32[np.ndarray, "n q"] | None:
    """All stored covariates of patient and visit; None if there are none.

    Missing values become the training mean, with a further column that marks them.
    """
    columns = [column for values in cohort.covariates.values() for column in _filled(values, cohort.train)]
    return np.stack(columns, axis=1).astype(np.float32) if columns else None


@jax.jit
def pixel_features(scan: Num[Array, "n t h w c"]) -> Float32[Array, "n f"]:
    """Thumbnails, 8 x 8 each, of the mean over frames and of the SD over frames: ``f = 2 * 64 * c``.

    A tile averages the pixels that it covers, those at its edge by the fraction covered. The SD is taken per pixel
    before averaging, and is 0 for stills.
    """
    scan = scan.astype(jnp.float32)
    maps = jnp.stack([scan.mean(axis=1), scan.std(axis=1)], axis=1)
    tiles = jnp.einsum("nfhwc,ih,jw->nfijc", maps, _tiles(scan.shape[2]), _tiles(scan.shape[3]), precision="highest")
    return tiles.reshape(len(scan), -1)


def majority(train: Observations, val: Truth, truth: Truth) -> Predictions:
    """Always the most frequent change class among the validation fine pairs, or stable when there are none.

    Every score is predicted at the training mean, so order is a coin toss: pairwise accuracy 0.5 and τ-b 0. Among
    equally frequent classes stable wins, then the lower one.
    """
    seen = val.change[val.scored]
    most_frequent = max(CLASSES, key=lambda label: (np.sum(seen == label), label == 0, -label))
    scores = np.full(len(truth.patient_of), np.nanmean(train.sorted().score.astype(np.float64)))
    share = np.array([np.mean(seen == label) if seen.size else label == 0 for label in CLASSES], float)
    k = len(truth)
    called = np.full(k, most_frequent, np.int32)
    return Predictions(truth, np.zeros(k), called, np.tile(share, (k, 1)), scores)


def first_visit(train: Observations, val: Truth, truth: Truth) -> Predictions:
    """Regression to the mean: the change is proportional to the distance of the pair's first score from the mean.

    ``Δ = b (mean of training scores - first score)``, with b by least squares on validation pairs (1 without any). A
    pair is called changed beyond the threshold of highest macro-F1 on these. Uses measured scores, not scans.
    """
    mean = np.nanmean(train.sorted().score.astype(np.float64))

    def away(part: Truth) -> np.ndarray:
        return mean - part.observations.score.astype(np.float64)[part.first]

    x, y = away(val)[val.scored], val.delta[val.scored]
    b = float(x @ y / (x @ x)) if x.size and x @ x > 0 else 1.0
    threshold = (
        fit_threshold(b * x, val.change[val.scored], truth.change_threshold) if x.size else truth.change_threshold
    )
    delta = b * away(truth)
    return Predictions(truth, delta, change_class(delta, threshold))


def _filled(values: Float[np.ndarray, " n"], train: Int[np.ndarray, " r"]) -> list[np.ndarray]:
    """The values, with the mean over training rows for missing ones; if any are missing, also a column marking them."""
    missing = np.isnan(values)
    known = values[train][~missing[train]]
    filled = np.where(missing, known.mean(dtype=np.float64) if known.size else 0, values)
    return [filled, missing] if missing.any() else [filled]


def _tiles(size: int) -> Float32[np.ndarray, "8 size"]:
    """Weights that average ``size`` pixels into 8 equal spans, by the overlap of each pixel with each span."""
    edge = np.arange(_SIDE + 1) * size / _SIDE
    pixel = np.arange(size)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return (np.clip(overlap, 0, None) * _SIDE / size).astype(np.float32)
