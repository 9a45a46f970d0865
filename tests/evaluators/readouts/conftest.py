"""What a read-out may know besides the observations, with every head that an objective could have trained."""

from collections.abc import Callable

import numpy as np
import pytest

from learner_jax.evaluators.readouts import Context


def random_heads(dim: int) -> dict:
    """Heads with random weights, laid out as in a train state."""
    rng = np.random.default_rng(3)
    kernel = lambda: rng.normal(size=(dim, 1)).astype(np.float32)  # noqa: E731
    return {
        "difference": {"kernel": kernel()},
        "order": {"kernel": kernel()},
        "davidson": {"kernel": kernel(), "log_tie": np.float32(0.3)},
        "head": {"kernel": kernel(), "bias": np.array([0.7], np.float32)},
        "projection": {"hidden": {"kernel": np.ones((dim, dim))}},
    }


@pytest.fixture
def context(config) -> Callable[..., Context]:
    """``context(dim=6, **fields)``."""

    def make(dim: int = 6, **fields) -> Context:
        values = {
            "config": config,
            "score_name": "sf_ratio",
            "heads": random_heads(dim),
            "score_mean": 3.5,
            "score_std": 2.25,
            "objective": "mse",
        }
        return Context(**(values | fields))

    return make
