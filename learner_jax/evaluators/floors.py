"""Label-free floors: what a table must be read against.

A floor goes through the same read-out and the same scoring as an encoder. ``majority`` has no embedding;
``random_init`` is an untrained backbone of the run's kind, the same for all its seeds, embedded like a checkpoint.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Num

from learner_jax.config import EvalConfig
from learner_jax.evaluators.change import CLASSES, true_change
from learner_jax.evaluators.pairs import Observations, fine_pairs
from learner_jax.evaluators.scoring import Scores, score_predictions

_SIDE = 8


def time_features(time_days: Float[np.ndarray, " n"], visit: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n 2"]:
    """When the scan was taken and nothing of what it shows: days since the first visit, and the visit's ordinal."""
    return np.stack([time_days, visit], axis=1).astype(np.float32)


@jax.jit
def pixel_features(scan: Num[Array, "n t h w c"]) -> Float32[Array, "n f"]:
    """Mean thumbnail and temporal-SD thumbnail, 8 x 8 each, by area: ``f = 2 * 64 * c``; SD is 0 for stills.

    A tile averages the pixels it covers, those at its edge by the fraction covered; the SD over time is per pixel.
    """
    scan = scan.astype(jnp.float32)
    maps = jnp.stack([scan.mean(axis=1), scan.std(axis=1)], axis=1)
    tiles = jnp.einsum("nfhwc,ih,jw->nfijc", maps, _tiles(scan.shape[2]), _tiles(scan.shape[3]), precision="highest")
    return tiles.reshape(len(scan), -1)


def majority_scores(
    train: Observations, val: Observations, test: Observations, config: EvalConfig, seed: int
) -> Scores:
    """Always the most frequent change class of the validation fine pairs, or stable when there are none.

    Every score is predicted at the training mean, so that order is a coin toss: pairwise accuracy 0.5 and tau-b 0. Of
    equally frequent classes stable wins, then the lower.
    """
    val, test = val.sorted(), dataclasses.replace(test.sorted(), u=np.zeros((len(test), 1), np.float32))
    seen = fine_pairs(val, config.pairs, config.order)
    changes = true_change(val.score[seen.first], val.score[seen.second], config.change_threshold)
    most_frequent = max(CLASSES, key=lambda label: (np.sum(changes == label), label == 0, -label))
    pairs = fine_pairs(test, config.pairs, config.order)
    known = train.sorted().score
    mean = known[~np.isnan(known)].astype(np.float64).mean()
    return score_predictions(
        test,
        pairs,
        predicted=np.full(len(test), mean),
        predicted_change=np.full(len(pairs), most_frequent, np.int32),
        change_threshold=config.change_threshold,
        mode=config.pairs,
        config=config,
        seed=seed,
    )


def _tiles(size: int) -> Float32[np.ndarray, "8 size"]:
    """Weights that average ``size`` pixels into 8 equal spans: the overlap of each pixel with each span."""
    edge = np.arange(_SIDE + 1) * size / _SIDE
    pixel = np.arange(size)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    return (np.clip(overlap, 0, None) * _SIDE / size).astype(np.float32)
