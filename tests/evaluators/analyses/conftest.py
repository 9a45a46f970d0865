"""A case: one encoder with its primary read-out, as the analyses see it."""

from collections.abc import Callable

import numpy as np
import pytest

from learner_jax.evaluators.analyses import Case, analyses
from learner_jax.evaluators.evaluation import fit_readouts
from learner_jax.evaluators.names import PRIMARY
from learner_jax.evaluators.predictions import Truth, predict
from learner_jax.evaluators.readouts import Context
from learner_jax.evaluators.scoring import draws


@pytest.fixture
def case(splits, config) -> Callable[..., Case]:
    """``case(**scans)``: by default 35 patients with 4 visits in each part; two sites, one view."""

    def make(mode: str = "visits", patients: int = 35, **kwargs) -> Case:
        config.pairs = mode
        train, val, test = splits(mode=mode, patients=patients, **kwargs)
        fitting = fit_readouts([], train, val, Context(config, "x", {}, 0.0, 1.0, "mse"), {})
        truth = Truth.of(test, mode, config.order, config.change_threshold)
        rows = 1 + max(row for part in (train, val, test) for own in part.rows for row in own)
        said = predict(fitting.readouts[PRIMARY], truth)
        resampling = draws(truth.n_patients, config)
        places = (("left", "right"), ("north", "south"), np.arange(rows) // 16 % 2)
        return Case(config, train, val, fitting.readouts[PRIMARY], truth, said, resampling, *places)

    return make


@pytest.fixture
def ask() -> Callable[[str, Case], dict | str]:
    """``ask(name, case)``: ``(name, at)`` -> value, or the reason why there is none."""

    def run(name: str, case: Case) -> dict | str:
        answer = analyses.get(name)(case)
        return answer if isinstance(answer, str) else {(one.name, one.at): one.replicates.value for one in answer}

    return run
