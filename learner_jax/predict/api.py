"""Predictions of a run for pairs of visits of a built dataset, computed as in its evaluation, to the bit."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learner_jax import backbones
from learner_jax.checkpoint import Checkpoints
from learner_jax.data.cohort import Cohort, load_unscored
from learner_jax.data.pipeline import Reader, open_reader
from learner_jax.evaluators import seen
from learner_jax.evaluators.api import Evaluator
from learner_jax.evaluators.intensities import Range, intensities
from learner_jax.evaluators.readouts import check_embeddings
from learner_jax.evaluators.statistics.conformal import conformal_sets
from learner_jax.mesh import check_batch_size, make_mesh
from learner_jax.placement import placed_shapes
from learner_jax.predict.compatible import refuse_unlike
from learner_jax.predict.pairs import Pair
from learner_jax.predict.run import TrainedRun
from learner_jax.predict.wording import abstention, words
from tfds_builders.record import DatasetMeta, check_complete


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The prediction for one pair of visits.

    Attributes:
      patient: keyed hash.
      visit_1, visit_2: the earlier and the later visit.
      days: from the first visit to the second; NaN unknown.
      change: -1, 0, 1: the score falls, stays within the threshold, rises; None if the pair was refused.
      word: for the change, see :func:`wording.words`; empty if refused.
      probability: of -1, 0, 1; None without a calibration.
      delta: by how much the score rises, score units.
      low, high: an interval that holds the true rise of ``coverage`` of pairs; None without a calibration.
      abstain: why the class is not to be relied on; empty if it is.
      refused: why there is no prediction; empty if there is one.
    """

    patient: str
    visit_1: int
    visit_2: int
    days: float
    change: int | None = None
    word: str = ""
    probability: tuple[float, float, float] | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    abstain: str = ""
    refused: str = ""


class Opened:
    """A dataset opened for a run, with the run's backbone and variables.

    Args:
      run: that predicts.
      folder: of a built dataset.

    Raises:
      InputError: the folder holds no dataset, or one that is unlike what the run was trained on.
    """

    def __init__(self, run: TrainedRun, folder: Path):
        check_complete(folder)
        refuse_unlike(DatasetMeta.read(folder), run.readout.spec["stored"], folder)
        self.run = run
        self.cohort: Cohort = load_unscored(folder, run.views)
        # a scan that cannot be read costs its own pairs and no others
        data = dataclasses.replace(run.config.data, dir=str(folder), max_bad_fraction=1.0)
        self.config = dataclasses.replace(run.config, data=data)
        self.reader: Reader = open_reader(self.cohort, data)
        self.backbone = backbones.create(run.config.backbone.name, run.config.backbone.norm)
        self.mesh = make_mesh()
        check_batch_size(run.config.eval.batch_size, self.mesh, "config.eval.batch_size")
        with Checkpoints(run.workdir) as checkpoints:
            shapes = placed_shapes(self.backbone.shapes(self.reader.spec(1)), self.mesh)
            self.variables, _ = checkpoints.restore_for_scoring(run.step, shapes)

    def refusals(self, rows: np.ndarray) -> dict[int, str]:
        """Why each of these cohort rows is refused, if it cannot be read or is unlike the training scans."""
        values, readable = intensities(self.reader, rows)
        stored = self.run.readout.spec["intensity"]
        known = None if stored is None else Range.from_json(stored)
        found = {}
        for row, (mean, sd), good in zip(rows.tolist(), values.tolist(), readable.tolist(), strict=True):
            why = (known.unlike(mean, sd) if known else "") if good else "it cannot be read"
            if why:
                found[row] = why
        return found


def predict(opened: Opened, pairs: Sequence[Pair]) -> list[Prediction]:
    """One prediction for each pair, in the same order.

    Raises:
      InputError: embeddings are not finite.
    """
    cohort, rows_of = opened.cohort, _rows_of_visits(opened.cohort)
    rows = [np.concatenate([rows_of[p.patient, p.visit_1], rows_of[p.patient, p.visit_2]]) for p in pairs]
    asked = np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
    faults = opened.refusals(asked)
    named = {row: f"scan {cohort.scan_ids[row]} of visit {cohort.visit[row]}: {why}" for row, why in faults.items()}
    refused = ["; ".join(named[row] for row in own.tolist() if row in named) for own in rows]
    accepted = [at for at, why in enumerate(refused) if not why]
    fields = _predicted(opened, [pairs[at] for at in accepted], asked)
    predicted = dict(zip(accepted, fields, strict=True))
    predictions = []
    for at, pair in enumerate(pairs):
        first, second = (rows_of[pair.patient, visit] for visit in (pair.visit_1, pair.visit_2))
        days = np.mean(cohort.time_days[second], dtype=float) - np.mean(cohort.time_days[first], dtype=float)
        predictions.append(
            Prediction(
                cohort.patients[pair.patient],
                pair.visit_1,
                pair.visit_2,
                float(days),
                refused=refused[at],
                **predicted.get(at, {}),
            )
        )
    return predictions


def _rows_of_visits(cohort: Cohort) -> dict[tuple[int, int], np.ndarray]:
    found: dict[tuple[int, int], list[int]] = {}
    for row, visit in enumerate(zip(cohort.patient.tolist(), cohort.visit.tolist(), strict=True)):
        found.setdefault(visit, []).append(row)
    return {visit: np.array(rows) for visit, rows in found.items()}


def _predicted(opened: Opened, pairs: list[Pair], asked: np.ndarray) -> list[dict[str, Any]]:
    """The fields that the read-out predicts for pairs whose scans are all accepted.

    All rows asked for are embedded, refused ones too: without them the others would take other places in their batches,
    which on some CPUs (AVX2) changes their last digits.
    """
    if not pairs:
        return []
    run, cohort = opened.run, opened.cohort
    readout, weights = run.readout, run.readout.spec["view_weights"]
    evaluator = Evaluator(opened.config, cohort, opened.reader, opened.backbone, opened.mesh)
    weights = None if weights is None else np.array(weights)
    visits = evaluator.observations(opened.variables, asked, weights)
    accepted = {(pair.patient, visit) for pair in pairs for visit in (pair.visit_1, pair.visit_2)}
    keys = list(zip(visits.patient.tolist(), visits.visit.tolist(), strict=True))
    visits = visits.take(np.array([at for at, key in enumerate(keys) if key in accepted]))
    check_embeddings(visits, "given")
    place = {key: at for at, key in enumerate(zip(visits.patient.tolist(), visits.visit.tolist(), strict=True))}
    first = np.array([place[pair.patient, pair.visit_1] for pair in pairs])
    second = np.array([place[pair.patient, pair.visit_2] for pair in pairs])
    compared, named, bound = (
        readout.compare(visits.u, first, second),
        words(run.config.eval.better),
        readout.calibration,
    )
    change = readout.decision.change(compared.delta, compared.logits)
    probability = readout.decision.probability(compared.delta, compared.logits)
    held = None if bound.level is None else conformal_sets(probability, bound.level)
    used = seen.used_in(run.workdir, cohort)
    return [
        {
            "change": int(change[k]),
            "word": named[change[k] + 1],
            "probability": None if held is None else tuple(probability[k].tolist()),
            **_interval(float(compared.delta[k]), bound.half_width),
            "abstain": abstention(
                None if held is None else held[k],
                int(change[k]),
                bound,
                named,
                used.get(cohort.patients[pair.patient], ""),
            ),
        }
        for k, pair in enumerate(pairs)
    ]


def _interval(delta: float, half_width: float | None) -> dict[str, float | None]:
    if half_width is None:
        return {"delta": delta, "low": None, "high": None}
    return {"delta": delta, "low": delta - half_width, "high": delta + half_width}
