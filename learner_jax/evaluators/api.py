"""One evaluation: encoder -> observations -> read-outs fitted on train and val -> scores on test.

With ``config.eval.patients=val`` read-outs are fitted on train alone and scored on val; no test scan is opened.
The trainer and ``python -m learner_jax.evaluate`` both come through here, so they cannot differ.
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from learner_jax.backbones import Backbone
from learner_jax.batch import Batch
from learner_jax.config import Config
from learner_jax.data.cohort import Cohort
from learner_jax.data.pipeline import Reader
from learner_jax.distributed import first
from learner_jax.evaluators import artifacts, floors, fusion, places
from learner_jax.evaluators.analyses.ceiling import NOT_STATED, noise_ceiling
from learner_jax.evaluators.embed import Embedder, encoder_of
from learner_jax.evaluators.evaluation import (
    OF_A_READOUT,
    Evaluation,
    Sections,
    chosen_readouts,
    fit_readouts,
    score,
)
from learner_jax.evaluators.intensities import Range, intensities
from learner_jax.evaluators.names import PRIMARY
from learner_jax.evaluators.pairs import Observations, observe
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.readouts import Context
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.scoring import draws, rows
from learner_jax.evaluators.subsets import estimate_with_late
from learner_jax.mesh import replicated
from learner_jax.placement import on_host
from learner_jax.preprocess import intensity, normalisation
from learner_jax.state import TrainState

Embed = Callable[[np.ndarray], np.ndarray]  # cohort rows -> embeddings


def _pixels(_: Any, batch: Batch) -> jax.Array:
    return floors.pixel_features(intensity(batch))


class Evaluator:
    """Scores encoders of one cohort under one config.

    Args:
      config: of the run.
      cohort: whose patients are embedded and scored.
      reader: of its records.
      backbone: that the variables to be scored belong to.
      mesh: of the devices that embed.
      between: called at each batch and each part of scoring, at the same places on all processes; it may raise.
    """

    def __init__(
        self,
        config: Config,
        cohort: Cohort,
        reader: Reader,
        backbone: Backbone,
        mesh: Mesh,
        between: Callable[[], None] = lambda: None,
    ):
        self._config, self._cohort, self._reader = config, cohort, reader
        self._backbone, self._mesh, self._between = backbone, mesh, between
        self._embed = self._embedder(encoder_of(backbone, config))
        # cohort rows that decisions are fitted on, and those that are scored, which nothing is fitted on
        on_test = config.eval.patients == "test"
        self._val, self._scored = (cohort.val, cohort.test) if on_test else (cohort.val[:0], cohort.val)

    def evaluate(self, variables: Any, heads: Any, step: int) -> Evaluation:
        """Score ``{"params", "stats"}`` of the backbone, and the objective's trained ``heads``, as of ``step``."""
        return self._evaluate(partial(self._embed, variables), on_host(heads), step, everything=True)

    def evaluate_state(self, state: TrainState) -> Evaluation:
        """Score a state in training."""
        variables = {"params": state.scored["backbone"], "stats": state.stats}
        return self.evaluate(variables, state.scored["objective"], int(state.step))

    def write(self, evaluation: Evaluation, workdir: Path, step: int) -> None:
        """Write read-outs, scores, pairs and observations as :mod:`artifacts` lays them out, all of them or nothing."""
        if jax.process_index() == 0:
            artifacts.write(evaluation, self._cohort, self._config, workdir, step)

    def observations(self, variables: Any, rows: np.ndarray, view_weights: np.ndarray | None = None) -> Observations:
        """The observations of these cohort rows, embedded and averaged exactly as scoring does, to the bit.

        Rows that cannot be read are left out.

        Args:
          variables: ``{"params", "stats"}`` of the backbone.
          rows: i64 ``[n]`` cohort rows.
          view_weights: f64 ``[v]``, one for each of ``cohort.views``; None: all views weigh the same.
        """
        return self._observe(self._embed(variables, rows), rows, view_weights)

    def has_scored(self, workdir: Path, step: int) -> bool:
        """Whether the evaluation of a step has been written."""
        return places.exists(workdir, step, self._config.eval.patients)

    def floors(self) -> tuple[Sections, dict[str, str]]:
        """Rows of every floor and of the noise ceiling, scored as an encoder is; and why any of them is missing."""
        cohort, config, notes = self._cohort, self._config.eval, {}

        def through_readout(embed: Embed) -> list[Row]:
            return self._evaluate(embed, {}, 0, everything=False).sections[PRIMARY]

        # first: reading all pixels finds the scans that cannot be read, which the other floors leave out too
        pixels = through_readout(partial(self._embedder(_pixels), None))
        time = floors.time_features(cohort.time_days, cohort.visit, cohort.train)
        train, val, scored = (self._observe(time[at], at) for at in (cohort.train, self._val, self._scored))
        val, truth = (Truth.of(part, config.pairs, config.order, config.change_threshold) for part in (val, scored))
        resampling = draws(truth.n_patients, config)

        def directly(predictions: Predictions) -> list[Row]:
            return rows(estimate_with_late(predictions, resampling, config, OF_A_READOUT), config)

        sections = {
            "majority": directly(floors.majority(train, val, truth)),
            "first_visit": directly(floors.first_visit(train, val, truth)),
            "time_only": through_readout(lambda at: time[at]),
        }
        covariates = floors.covariate_features(cohort)
        if covariates is None:
            notes["covariates"] = "the dataset stores no covariates (python -m tfds_builders.build … --covariates)"
        else:
            sections["covariates"] = through_readout(lambda at: covariates[at])
        if len(cohort.views) > 1:
            views = floors.view_features(cohort.view, len(cohort.views))
            sections["view_only"] = through_readout(lambda at: views[at])
        else:
            notes["view_only"] = f"all scans are of one view ({cohort.views[0]})"
        sections["pixels"] = pixels
        sections["random_init"] = through_readout(partial(self._embed, self._random_variables()))
        if config.label_noise:
            sections["noise_ceiling"] = rows(noise_ceiling(truth, config.label_noise, resampling), config)
        else:
            notes["noise_ceiling"] = NOT_STATED
        return sections, notes

    def _random_variables(self) -> Any:
        """Initial weights that are the same for all runs: a floor of the backbone, not of a run or of the user's
        jax_default_prng_impl."""
        init = jax.jit(partial(self._backbone.init, spec=self._reader.spec(1)), out_shardings=replicated(self._mesh))
        return init(jax.random.key(0, impl="threefry2x32"))

    def _evaluate(self, embed: Embed, heads: dict[str, Any], step: int, everything: bool) -> Evaluation:
        """Fit and score. With ``everything`` also the chosen read-outs, the analyses and the spec for predictions."""
        config, cohort = self._config.eval, self._cohort
        u_train, weights = embed(cohort.train), None
        if config.fusion == "learnt" and config.pairs == "visits":
            readable = self._reader.damage.spared(cohort.train)
            rows = cohort.train[readable]
            weights = fusion.view_weights(
                u_train[readable],
                cohort.score[rows],
                cohort.patient[rows],
                cohort.visit[rows],
                cohort.view[rows],
                n_views=len(cohort.views),
            )
        train = self._observe(u_train, cohort.train, weights)
        val = self._observe(embed(self._val), self._val, weights)
        context = Context(
            config=config,
            score_name=self._config.data.score,
            heads=heads,
            score_mean=cohort.score_mean,
            score_std=cohort.score_std,
            objective=self._config.objective.name,
        )
        names = chosen_readouts(config.readouts) if everything else []
        spec = self._spec(step, weights) if everything else {}
        fitting = fit_readouts(names, train, val, context, spec, self._between)
        # nothing above this line has seen a scan of those who are scored
        observed = self._observe(embed(self._scored), self._scored, weights)
        evaluation = score(fitting, observed, config, cohort if everything else None, self._between)
        if told := self._reader.damage.summary():
            evaluation.notes["unreadable"] = told
        return evaluation

    def _observe(self, u: np.ndarray, rows: np.ndarray, weights: np.ndarray | None = None) -> Observations:
        cohort, readable = self._cohort, self._reader.damage.spared(rows)
        rows = rows[readable]
        return observe(
            u[readable],
            cohort.score[rows],
            cohort.patient[rows],
            cohort.visit[rows],
            cohort.time_days[rows],
            cohort.view[rows],
            rows,
            self._config.eval.pairs,
            weights,
        )

    def _embedder(self, encoder: Callable) -> Embedder:
        return Embedder(encoder, self._reader, self._mesh, self._config.eval.batch_size, self._between)

    def _spec(self, step: int, weights: np.ndarray | None) -> dict[str, Any]:
        """What a prediction must know about the run's training and the fitting of its read-outs, as JSON values."""
        data, meta = self._config.data, self._cohort.meta
        mean, std, rule = normalisation(self._config, meta.scan_shape[3])
        return {
            "step": step,
            "fingerprints": self._cohort.fingerprints,
            "backbone": self._backbone.name,
            "views": list(self._cohort.views),
            "view_weights": None if weights is None else weights.tolist(),
            "stored": {
                **{name: getattr(meta, name) for name in ("name", "version", "modality", "axis0", "dtype")},
                "scan_shape": list(meta.scan_shape),
                "preprocessing": meta.preprocessing,
            },
            "intensity": self._intensity,
            "input": {"frames": data.frames, "size": data.size, "mean": mean, "std": std}
            | ({"each_scan": rule} if rule else {}),
        }

    @cached_property
    def _intensity(self) -> dict[str, Any] | None:
        """The range of the training scans' intensities; None on processes that do not write, or if none can be read."""
        values, readable = intensities(self._reader, self._cohort.train) if first() else (np.zeros((0, 2)), ())
        return dataclasses.asdict(Range.of(values[readable])) if np.any(readable) else None
