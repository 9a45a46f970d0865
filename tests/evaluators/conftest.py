"""Made-up scans of patients whose score moves, and observations of them."""

from collections.abc import Callable

import numpy as np
import pytest

from learner_jax.config import EvalConfig
from learner_jax.evaluators.pairs import Observations, observe


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
