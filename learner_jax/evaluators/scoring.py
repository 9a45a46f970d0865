"""Score predictions on held-out patients: fine order, change and distance; coarse order and error.

Only here are test observations opened. Everything is computed in one order of observations and pairs, so the numbers
depend neither on the order nor on the batches in which scans were embedded.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Float64, Int, Int32

from learner_jax.config import EvalConfig
from learner_jax.evaluators import change, correlation, ordering
from learner_jax.evaluators.pairs import FinePairs, Observations, describe_no_pairs, fine_pairs
from learner_jax.evaluators.readout import Readout, check_embeddings
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.statistics import Statistic, make_row, ratio, replicate, resample, summed

FINE = (
    "pairwise_accuracy",
    "macro_f1",
    "kendall_tau_b",
    "accuracy",
    "balanced_accuracy",
    "embedding_distance_spearman",
)
COARSE = ("coarse_c_index", "score_mae", "score_spearman")
_UNDEFINED = {
    "pairwise_accuracy": "undefined: no fine pair differs in its score",
    "kendall_tau_b": "undefined: no patient has two different scores",
    "embedding_distance_spearman": "undefined: all distances, or all score differences, are equal",
    "coarse_c_index": "undefined: no two patients differ in their score",
    "score_spearman": "undefined: all predictions, or all scores, are equal",
}


@dataclasses.dataclass(frozen=True)
class ScoredPairs:
    """Every fine pair of the test patients, for tables and figures; ``first`` and ``second`` index the observations."""

    patient: Int[np.ndarray, " k"]
    first: Int[np.ndarray, " k"]
    second: Int[np.ndarray, " k"]
    visit_1: Int[np.ndarray, " k"]
    visit_2: Int[np.ndarray, " k"]
    days: Float32[np.ndarray, " k"]  # from the first to the second
    score_1: Float32[np.ndarray, " k"]
    score_2: Float32[np.ndarray, " k"]
    delta: Float32[np.ndarray, " k"]  # score_2 - score_1
    predicted_delta: Float64[np.ndarray, " k"]
    distance: Float32[np.ndarray, " k"]  # cosine distance of the embeddings
    change: Int32[np.ndarray, " k"]  # -1, 0, 1
    predicted_change: Int32[np.ndarray, " k"]


@dataclasses.dataclass(frozen=True)
class Scores:
    """Rows of a table and what they were computed from."""

    rows: tuple[Row, ...]
    note: str  # sentences for under the table; empty when there is nothing to say
    pairs: ScoredPairs
    observations: Observations
    predicted: Float64[np.ndarray, " m"]  # score units, one per observation


def score(test: Observations, readout: Readout, config: EvalConfig, seed: int) -> Scores:
    """Score a read-out on the observations of test patients.

    What a pair and a change are comes from the read-out, which was fitted for them; ``config`` gives ``bootstrap`` and
    ``confidence``.

    Raises:
      InputError: embeddings that are not finite or of another width than the read-out's.
    """
    check_embeddings(test, "test")
    test = test.sorted()
    pairs = fine_pairs(test, readout.pairs, readout.order)
    predicted = readout.predict(test.u)
    predicted_change = change.change_class(predicted[pairs.second] - predicted[pairs.first], readout.threshold)
    scores = score_predictions(
        test, pairs, predicted, predicted_change, readout.change_threshold, readout.pairs, config, seed
    )
    return dataclasses.replace(scores, note="; ".join(filter(None, [readout.warning, scores.note])))


def score_predictions(
    test: Observations,
    pairs: FinePairs,
    predicted: Float64[np.ndarray, " m"],
    predicted_change: Int32[np.ndarray, " k"],
    change_threshold: float,
    mode: str,
    config: EvalConfig,
    seed: int,
) -> Scores:
    """Score any predictor of scores and changes; ``test`` is sorted and ``pairs`` are its fine pairs.

    Without fine pairs there are only the coarse rows, and the note says why.
    """
    scored = _scored_pairs(test, pairs, predicted, predicted_change, change_threshold)
    rows = [
        *(_fine_rows(test, scored, predicted, mode, config, seed) if len(pairs) else ()),
        *(_coarse_rows(test, predicted, config, seed) if test.labeled.any() else ()),
    ]
    notes = [] if len(pairs) else [describe_no_pairs(test, mode)]
    if not test.labeled.any():
        notes.append("no test observation carries the score, so there is nothing to score")
    return Scores(tuple(rows), "; ".join(notes), scored, test, predicted)


def _scored_pairs(
    test: Observations,
    pairs: FinePairs,
    predicted: np.ndarray,
    predicted_change: np.ndarray,
    change_threshold: float,
) -> ScoredPairs:
    first, second, k = pairs.first, pairs.second, len(pairs)
    padded = [np.pad(test.u[side], ((0, _width(k) - k), (0, 0))) for side in (first, second)]
    return ScoredPairs(
        patient=pairs.patient,
        first=first,
        second=second,
        visit_1=test.visit[first],
        visit_2=test.visit[second],
        days=test.time_days[second] - test.time_days[first],
        score_1=test.score[first],
        score_2=test.score[second],
        delta=test.score[second] - test.score[first],
        predicted_delta=predicted[second] - predicted[first],
        distance=np.asarray(correlation.cosine_distance(*padded))[:k],
        change=change.true_change(test.score[first], test.score[second], change_threshold),
        predicted_change=predicted_change,
    )


def _fine_rows(
    test: Observations, scored: ScoredPairs, predicted: np.ndarray, mode: str, config: EvalConfig, seed: int
) -> list[Row]:
    patients, patient = np.unique(scored.patient, return_inverse=True)
    width = _width(len(patients))
    # tau-b ranks all observations of a patient, also where only consecutive visits are paired.
    every = fine_pairs(test, mode, "all")
    deltas = [_signs(x[every.second] - x[every.first]) for x in (test.score, predicted)]
    tau = ordering.patient_tau(*_padded(*deltas, np.searchsorted(patients, every.patient)), n_patients=width)
    order = ordering.pair_order(
        *_padded(_signs(scored.delta), _signs(scored.predicted_delta), patient), n_patients=width
    )
    matrices = change.confusion(*_padded(scored.change, scored.predicted_change, patient), n_patients=width)
    moved = np.abs(scored.score_2.astype(np.float64) - scored.score_1)
    data = {"order": order, "tau": tau, "change": matrices, "distance": _ranked(moved, scored.distance, patient)}
    ordered, defined = (np.asarray(x) > 0 for x in (order["comparable"], tau["defined"]))
    in_tau = defined[np.searchsorted(patients, every.patient)]
    n = dict.fromkeys(FINE, (len(patients), len(patient)))
    n["pairwise_accuracy"] = (int(ordered.sum()), int(np.asarray(order["comparable"], np.float64).sum()))
    n["kendall_tau_b"] = (int(defined.sum()), int(in_tau.sum()))
    return _rows(fine_statistic, data, len(patients), width, n, config, seed)


def _coarse_rows(test: Observations, predicted: np.ndarray, config: EvalConfig, seed: int) -> list[Row]:
    known = np.flatnonzero(test.labeled)
    truth, guess = test.score[known], predicted[known]
    patients, patient = np.unique(test.patient[known], return_inverse=True)
    error = np.abs(truth.astype(np.float64) - guess).astype(np.float32)
    ranks = [np.unique(x, return_inverse=True)[1].astype(np.float32) for x in (truth, guess)]
    width = _width(len(patients))
    data = {
        "order": ordering.coarse_order(*_padded(*ranks, patient), n_patients=width),
        "error": dict(zip(("error", "patient", "mask"), _padded(error, patient), strict=True)),
        "score": _ranked(truth, guess, patient),
    }
    n = dict.fromkeys(COARSE, (len(patients), None))
    n["coarse_c_index"] = (len(patients), ordering.count_coarse_pairs(truth, patient))
    return _rows(coarse_statistic, data, len(patients), width, n, config, seed)


def fine_statistic(data: dict[str, Any], counts: Float32[Array, " p"]) -> dict[str, jax.Array]:
    """All rows over fine pairs, so that one program and one resampling serve them all."""
    return {
        "pairwise_accuracy": ordering.pairwise_accuracy(data["order"], counts),
        "kendall_tau_b": ordering.mean_tau(data["tau"], counts),
        **change.change_scores(data["change"], counts),
        "embedding_distance_spearman": correlation.spearman(data["distance"], counts),
    }


def coarse_statistic(data: dict[str, Any], counts: Float32[Array, " p"]) -> dict[str, jax.Array]:
    """All rows over observations."""
    weight = jnp.where(data["error"]["mask"], counts[data["error"]["patient"]], 0.0)
    return {
        "coarse_c_index": ordering.c_index(data["order"], counts),
        "score_mae": ratio(summed(data["error"]["error"], weight), weight.sum()),
        "score_spearman": correlation.spearman(data["score"], counts),
    }


def _rows(
    statistic: Statistic,
    data: Any,
    n_patients: int,
    width: int,
    n: dict[str, tuple[int, int | None]],
    config: EvalConfig,
    seed: int,
) -> list[Row]:
    once = np.pad(np.ones((1, n_patients), np.float32), ((0, 0), (0, width - n_patients)))
    drawn = resample(seed, n_patients, replicates=config.bootstrap, width=width)
    values = jax.tree.map(np.asarray, replicate(statistic, data, jnp.concatenate([once, drawn])))
    return [
        make_row(
            name,
            values[name][0].item(),
            values[name][1:],
            config.confidence,
            *n[name],
            _UNDEFINED.get(name, "undefined"),
        )
        for name in n
    ]


def _ranked(x: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"], patient: Int[np.ndarray, " k"]) -> dict[str, Any]:
    """Data of :func:`correlation.spearman`; padding ranks last and weighs nothing."""
    extra = (0, _width(len(x)) - len(x))
    index, mask = _padded(patient)
    plans = (correlation.rank_plan(np.pad(side.astype(np.float64), extra, constant_values=np.inf)) for side in (x, y))
    return {**dict(zip("xy", plans, strict=True)), "patient": index, "mask": mask}


def _signs(delta: np.ndarray) -> np.ndarray:
    """Signs taken in the precision of the predictions: a difference of 1e-50 is no tie, and no float32 either."""
    return np.sign(delta).astype(np.float32)


def _padded(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays at the next power of two, and the mask of what is real: few sizes mean few compilations."""
    n = len(arrays[0])
    wide = [np.pad(x.astype(np.int32) if x.dtype.kind == "i" else x, (0, _width(n) - n)) for x in arrays]
    return (*wide, np.arange(_width(n)) < n)


def _width(n: int) -> int:
    return max(64, 1 << max(n - 1, 0).bit_length())
