"""Simulated scans of patients whose score moves, and observations of them."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.config import EvalConfig
from learner_jax.evaluators.pairs import Observations, observe
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.scoring import estimate
from learner_jax.evaluators.statistics.bootstrap import Resampling, padded


def draw_scans(
    seed: int = 0, patients: int = 12, visits: int = 4, views: int = 2, clips: int = 1, dim: int = 6,
    skill: float = 1.0, unlabeled: float = 0.0, first_patient: int = 0, first_row: int = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Scans in cohort order; the first dimension of ``u`` carries the score with weight ``skill``."""
    rng = np.random.default_rng(seed)
    patient, visit, view, _ = (
        x.ravel() for x in np.meshgrid(*map(np.arange, (patients, visits, views, clips)), indexing="ij")
    )
    truth = rng.integers(0, 8, (patients, visits)).astype(float)
    days = np.cumsum(rng.integers(1, 30, (patients, visits)), axis=1) - 1.0
    score = truth[patient, visit]
    u = rng.normal(size=(len(patient), dim)) + 3.0
    u[:, 0] += skill * score
    score[rng.random(len(score)) < unlabeled] = np.nan
    return {
        "u": u.astype(np.float32),
        "score": score.astype(np.float32),
        "patient": patient + first_patient,
        "visit": visit,
        "time_days": (days - days[:, :1])[patient, visit].astype(np.float32),
        "view": view,
        "row": np.arange(len(patient)) + first_row,
    }


@pytest.fixture
def scans() -> Callable[..., dict[str, np.ndarray]]:
    """:func:`draw_scans`."""
    return draw_scans


@pytest.fixture
def splits() -> Callable[..., tuple[Observations, Observations, Observations]]:
    """Train, validation and test observations of different patients; keywords as :func:`draw_scans`."""

    def make(mode: str = "visits", seed: int = 0, **kwargs) -> tuple[Observations, ...]:
        offsets = enumerate((0, 1000, 2000))
        return tuple(
            observe(**draw_scans(seed=10 * seed + i, first_patient=at, first_row=at * 100, **kwargs), mode=mode)
            for i, at in offsets
        )

    return make


@pytest.fixture
def config() -> EvalConfig:
    return EvalConfig(change_threshold=2.0, bootstrap=200)


@pytest.fixture
def said(scans) -> Callable[..., Predictions]:
    """``said(seed, mode, order, **scans)``: predictions of simulated pairs, with ties in both and all fields filled."""

    def make(
        seed: int = 0, mode: str = "visits", order: str = "all", noise: float = 2.0, threshold: float = 2.0, **kwargs
    ) -> Predictions:
        seen = observe(**draw_scans(seed=seed, **kwargs), mode=mode)
        if mode == "scans":  # otherwise all have the score of their visit
            seen.score[:] += np.random.default_rng([seed, 2]).integers(0, 4, len(seen))
        truth = Truth.of(seen, mode, order, threshold)
        rng = np.random.default_rng([seed, 1])
        scores = np.round(truth.observations.score + rng.normal(0, noise, len(truth.patient_of)))  # tied
        delta = scores[truth.second] - scores[truth.first]
        p = np.round(rng.dirichlet([1, 1, 1], len(delta)) + np.eye(3)[truth.change + 1], 2)
        called = np.where(np.abs(delta) > threshold, np.sign(delta), 0).astype(np.int32)
        distance = np.round(np.abs(delta) / 10 + rng.random(len(delta)), 1).astype(np.float32)
        never = np.zeros(len(truth.patient_of), np.int32)
        return Predictions(
            truth,
            delta,
            called,
            p / p.sum(1, keepdims=True),
            scores,
            True,
            distance,
            swapped=-called,
            with_itself=never,
        )

    return make


@pytest.fixture
def values() -> Callable[..., dict]:
    """``values(said, family, drawn)``: ``name`` or ``(name, at)`` -> value; patients occur ``drawn`` times, or once."""

    def compute(predictions: Predictions, family: str, drawn: np.ndarray | None = None) -> dict:
        p = predictions.truth.n_patients
        counts = np.zeros((padded(p + 1), 1), np.float32)
        counts[:p, 0] = 1 if drawn is None else drawn
        found = estimate(predictions, Resampling(p, jnp.asarray(counts), 0), [family])
        return {(one.name, one.at) if one.at else one.name: one.replicates.value for one in found}

    return compute


@pytest.fixture
def copies() -> Callable[[Predictions, np.ndarray], Predictions]:
    """Predictions in which each patient is repeated as often as it was drawn, as separate patients."""

    def make(said: Predictions, drawn: np.ndarray) -> Predictions:
        truth = said.truth
        patients = np.repeat(np.arange(truth.n_patients), drawn)
        rows = [np.flatnonzero(truth.patient_of == p) for p in patients]
        pairs = [np.flatnonzero(truth.patient == p) for p in patients]
        shift = np.cumsum([0, *map(len, rows)])
        place = [
            dict(zip(own.tolist(), range(start, start + len(own)), strict=True))
            for own, start in zip(rows, shift[:-1], strict=True)
        ]

        def of(side: np.ndarray) -> np.ndarray:
            return np.array([place[i][j] for i, own in enumerate(pairs) for j in side[own].tolist()], int)

        at, of_pairs = np.concatenate(rows), np.concatenate(pairs)
        new = dataclasses.replace(
            truth,
            observations=truth.observations.take(at),
            patients=patients,
            patient_of=np.repeat(np.arange(len(rows)), [len(x) for x in rows]).astype(np.int32),
            first=of(truth.first),
            second=of(truth.second),
            patient=np.repeat(np.arange(len(pairs)), [len(x) for x in pairs]).astype(np.int32),
            group_size=truth.group_size[of_pairs],
            delta=truth.delta[of_pairs],
            change=truth.change[of_pairs],
            scored=truth.scored[of_pairs],
        )
        fields = {
            name: getattr(said, name)[of_pairs] for name in ("delta", "change", "probability", "distance", "swapped")
        }
        return Predictions(new, scores=said.scores[at], with_itself=said.with_itself[at], **fields)

    return make
