"""Predictions as CSV and JSON, and summed up in a line."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learner_jax.evaluators.artifacts import write_csv, write_json
from learner_jax.evaluators.names import CHANCES, WORDS
from learner_jax.predict.api import Prediction
from learner_jax.predict.run import TrainedRun
from learner_jax.predict.wording import NOT_CLINICAL, words
from tfds_builders.errors import InputError
from tfds_builders.wording import plural


def beside(path: Path) -> Path:
    """The path of the JSON beside a CSV.

    Raises:
      InputError: the CSV's own name ends in .json, or it is a folder.
    """
    if path.suffix.lower() == ".json" or path.is_dir():
        raise InputError(f"{path} cannot be the CSV of predictions, beside which a .json is written. Change --out")
    return path.with_suffix(".json")


def write(predictions: Sequence[Prediction], run: TrainedRun, path: Path) -> Path:
    """Write predictions to the CSV ``path``, and with all that is needed to interpret them to a JSON file beside it.

    Columns that ``eval/STEP/pairs.csv`` has too mean the same there.

    Returns:
      The path of the JSON file.
    """
    lines = [_line(one) for one in predictions]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, lines)
    readout, as_json = run.readout, beside(path)
    about = {
        "note": f"{NOT_CLINICAL.capitalize()}.",
        "run": run.workdir.absolute().name,
        "step": run.step,
        "score": readout.score_name,
        "better": run.config.eval.better,
        "words": dict(zip(WORDS, words(run.config.eval.better), strict=True)),
        "change_threshold": readout.change_threshold,
        "calibration": vars(readout.calibration),
        "synthetic": run.synthetic,
        "fitted_on": readout.spec["fingerprints"],
        "pairs": lines,
    }
    write_json(as_json, about)
    return as_json


def summary(predictions: Sequence[Prediction], run: TrainedRun) -> str:
    """``12 pairs of 6 patients: 3 improved, 4 stable, …``; a pair that the run abstains on counts only as that."""
    counts = Counter("refused" if p.refused else "abstained" if p.abstain else p.word for p in predictions)
    order = (*reversed(words(run.config.eval.better)), "abstained", "refused")
    told = ", ".join(f"{counts[word]} {word}" for word in order)
    patients = len({p.patient for p in predictions})
    synthetic = " The run was trained on synthetic scans." if run.synthetic else ""
    pairs = f"{plural(len(predictions), 'pair')} of {plural(patients, 'patient')}"
    return f"{pairs}: {told}.{synthetic} {NOT_CLINICAL.capitalize()}."


def _line(one: Prediction) -> dict[str, Any]:
    p = one.probability or (None, None, None)
    return {
        "patient": one.patient,
        "visit_1": one.visit_1,
        "visit_2": one.visit_2,
        "days": None if math.isnan(one.days) else one.days,
        "said": one.word,
        "predicted_change": one.change,
        **dict(zip(CHANCES, p, strict=True)),
        "predicted_delta": one.delta,
        "delta_low": one.low,
        "delta_high": one.high,
        "abstain": one.abstain,
        "refused": one.refused,
    }
