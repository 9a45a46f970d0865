"""One evaluation: encoder -> observations -> read-out fitted on train and val -> scores on test.

The trainer and ``python -m learner_jax.evaluate`` both come through here, so they cannot differ.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from learner_jax.backbones import Backbone
from learner_jax.config import Config
from learner_jax.data.cohort import Cohort
from learner_jax.data.pipeline import Reader
from learner_jax.evaluators import artifacts, floors
from learner_jax.evaluators.embed import Embedder, encoder_of
from learner_jax.evaluators.pairs import Observations, observe
from learner_jax.evaluators.readout import Readout, fit
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.scoring import Scores, score
from learner_jax.mesh import replicated
from learner_jax.preprocess import intensity
from learner_jax.state import TrainState

BOOTSTRAP_SEED = 0  # one for all runs, so that two arms are resampled on the same patients


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A fitted read-out, its scores on test, and the observations of the other splits that it was fitted on."""

    readout: Readout
    scores: Scores
    fitted_on: dict[str, Observations]


class Evaluator:
    """Scores encoders of one cohort under one config."""

    def __init__(self, config: Config, cohort: Cohort, reader: Reader, backbone: Backbone, mesh: Mesh):
        self._config, self._cohort, self._reader = config, cohort, reader
        self._backbone, self._mesh = backbone, mesh
        self._embed = self._embedder(encoder_of(backbone, config.data))

    def evaluate(self, variables: Any, step: int) -> Evaluation:
        """Score ``{"params", "stats"}`` of the backbone as they were after ``step``."""
        return self._evaluate(partial(self._embed, variables), step)

    def score_state(self, state: TrainState, workdir: Path) -> None:
        """Evaluate a state in training and write the result into ``workdir/eval/STEP``."""
        variables = {"params": state.params["backbone"], "stats": state.stats}
        self.write(self.evaluate(variables, int(state.step)), workdir, int(state.step))

    def write(self, evaluation: Evaluation, workdir: Path, step: int) -> None:
        """Write read-out, scores, pairs and observations into ``workdir/eval/STEP``, all of them or nothing."""
        if jax.process_index() == 0:
            artifacts.write(evaluation.readout, evaluation.scores, evaluation.fitted_on, self._cohort, workdir, step)

    def has_scored(self, workdir: Path, step: int) -> bool:
        """Whether ``workdir/eval/STEP`` is there."""
        return artifacts.exists(workdir, step)

    def floors(self) -> dict[str, tuple[Row, ...]]:
        """Rows of every label-free floor, through the same read-out and the same scoring as an encoder."""
        cohort = self._cohort
        time = floors.time_features(cohort.time_days, cohort.visit)
        pixels = self._embedder(lambda _, batch: floors.pixel_features(intensity(batch)))
        # the weights of seed 0 for all runs: a floor of the backbone and not of a run
        initial = jax.jit(partial(self._backbone.init, spec=self._reader.spec(1)), out_shardings=replicated(self._mesh))
        train, val, test = (self._observe(time[rows], rows) for rows in (cohort.train, cohort.val, cohort.test))
        majority = floors.majority_scores(train, val, test, self._config.eval, BOOTSTRAP_SEED)
        return {
            "majority": majority.rows,
            "time_only": self._evaluate(lambda rows: time[rows], 0).scores.rows,
            "pixels": self._evaluate(partial(pixels, None), 0).scores.rows,
            "random_init": self.evaluate(initial(jax.random.key(0)), 0).scores.rows,
        }

    def _evaluate(self, embed: Callable[[np.ndarray], np.ndarray], step: int) -> Evaluation:
        config, cohort = self._config, self._cohort
        train, val = (self._observe(embed(rows), rows) for rows in (cohort.train, cohort.val))
        readout = dataclasses.replace(fit(train, val, config.eval, config.data.score), spec=self._spec(step))
        # nothing above this line has seen a test scan
        test = self._observe(embed(cohort.test), cohort.test)
        return Evaluation(readout, score(test, readout, config.eval, BOOTSTRAP_SEED), {"train": train, "val": val})

    def _observe(self, u: np.ndarray, rows: np.ndarray) -> Observations:
        c = self._cohort
        about = (array[rows] for array in (c.score, c.patient, c.visit, c.time_days, c.view))
        return observe(u, *about, rows, self._config.eval.pairs)

    def _embedder(self, encoder: Callable) -> Embedder:
        return Embedder(encoder, self._reader, self._mesh, self._config.eval.batch_size)

    def _spec(self, step: int) -> dict[str, Any]:
        data = self._config.data
        return {
            "step": step,
            "fingerprints": self._cohort.fingerprints,
            "backbone": self._backbone.name,
            "views": list(self._cohort.views),
            "stored": self._cohort.meta.preprocessing,
            "input": {name: getattr(data, name) for name in ("frames", "size", "mean", "std")},
        }
