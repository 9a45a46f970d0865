"""The files of an evaluation, in ``WORKDIR/eval/STEP``, for reports, predictions and other programs.

``scores.json`` (the headline with intervals), ``scores.csv`` (every row of every section), ``pairs.csv`` (every fine
pair of the scored patients), ``observations.csv`` (what was scored and what the read-outs were fitted on), ``readout``
(the primary one) and ``readouts/`` (the others). Patients appear only as keyed hashes, but a kNN or reference read-out
holds embeddings of training patients.
"""

import contextlib
import csv
import dataclasses
import errno
import itertools
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from learner_jax.config import Config
from learner_jax.data.cohort import Cohort
from learner_jax.evaluators.blockwise import blocks
from learner_jax.evaluators.census import census
from learner_jax.evaluators.evaluation import Evaluation
from learner_jax.evaluators.names import CHANCES, PRIMARY
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.places import folder
from learner_jax.evaluators.plane import Plane
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.rows import Row
from tfds_builders.errors import InputError
from tfds_builders.whole import replacing, write_whole

_FIRST = ("pairwise_accuracy", "macro_f1", "kendall_tau_b")  # a line of the terminal has room for these
HEADLINE = (
    *("pairwise_accuracy", "direction_auroc", "kendall_tau_b", "rm_correlation", "noticed_change"),
    *("macro_f1", "balanced_accuracy", "quadratic_kappa", "brier", "delta_mae", "delta_ccc"),
    *("embedding_distance_spearman", "coarse_c_index", "score_mae", "score_spearman"),
)
_FLOORS = "floors.json"
_STORED = ("first", "second", "predicted_delta", "predicted_change", "distance", "swapped_change", *CHANCES)


def write(evaluation: Evaluation, cohort: Cohort, config: Config, workdir: Path, step: int) -> None:
    """Write an evaluation beside its place, then move it there, replacing an older one."""
    final = folder(workdir, step, evaluation.patients)
    final.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{step}.", dir=final.parent))
    try:
        for name, readout in evaluation.fitting.readouts.items():
            if name == PRIMARY:
                readout.write(building, "readout")
            else:
                readout.write(building / "readouts", name)
        write_json(building / "scores.json", _scores(evaluation, cohort, config, step))
        write_csv(building / "scores.csv", sectioned(evaluation.sections))
        write_csv(building / "pairs.csv", _pairs(evaluation.predictions, cohort))
        write_csv(building / "observations.csv", _observations(evaluation, cohort))
        os.chmod(building, 0o755)
        put(building, final)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def put(building: Path, final: Path) -> None:
    """Move an evaluation to its place.

    An older one is moved away whole and then removed, so that neither a kill nor a concurrent evaluation of the same
    step leaves half of one behind.
    """
    with tempfile.TemporaryDirectory(prefix=".older.", dir=final.parent) as away:
        for at in itertools.count():
            try:
                building.rename(final)
                return
            except OSError as fault:
                if fault.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            with contextlib.suppress(FileNotFoundError):  # a concurrent evaluation has just moved it
                final.rename(Path(away, str(at)))


def write_floors(sections: dict[str, list[Row]], notes: dict[str, str], key: str, workdir: Path) -> None:
    """Write all floors into ``WORKDIR/eval``: ``floors.json`` (the headline) and ``floors.csv`` (every row).

    Args:
      sections: rows of each floor.
      notes: why a floor is missing.
      key: identifies what the floors were computed from, see :func:`floors_key`.
      workdir: of the run.
    """
    target = Path(workdir) / "eval"
    target.mkdir(parents=True, exist_ok=True)
    rows = {name: [dataclasses.asdict(row) for row in headline(floor)] for name, floor in sections.items()}
    # the CSV first: once the JSON with the key is there, neither is written again
    with replacing(target / "floors.csv") as beside:
        write_csv(beside, sectioned(sections))
    write_json(target / _FLOORS, {"key": key, "rows": rows, "notes": notes})


def floors_key(workdir: Path) -> str | None:
    """The key of the floors that a run has; None if it has none."""
    path = Path(workdir) / "eval" / _FLOORS
    return json.loads(path.read_text())["key"] if path.is_file() else None


def read_scores(workdir: Path, step: int, patients: str = "test") -> dict[str, Any]:
    """The values of a step's ``scores.json``."""
    return json.loads((folder(workdir, step, patients) / "scores.json").read_text())


def in_words(scores: dict[str, Any]) -> str:
    """A line for the terminal: the leading figures of ``scores.json``, or without these its note and all figures."""
    rows = {row["name"]: row for row in scores["rows"]}
    told = [_of_row(rows[name]) for name in _FIRST if name in rows]
    told = told or [scores["note"], *map(_of_row, rows.values())]
    between = "of scans within one visit, not over time: " if scores["pairs"] == "scans" else ""
    return between + ", ".join(filter(None, told))


def _of_row(row: dict[str, Any]) -> str:
    value, low, high = (row[name] for name in ("value", "low", "high"))
    if value is None:
        return f"{row['name']} – ({row['note']})"
    return f"{row['name']} {value:.3f}" + (f" [{low:z.3f}, {high:z.3f}]" if None not in (low, high) else "")


def headline(rows: Iterable[Row]) -> list[Row]:
    """The rows of the headline, in its order."""
    named = {row.name: row for row in rows if not row.at}
    return [named[name] for name in HEADLINE if name in named]


def sectioned(sections: dict[str, list[Row]]) -> list[dict[str, Any]]:
    """All rows of all sections as lines of a table, which begin with section, name and label."""
    lines = [{"section": name, **dataclasses.asdict(row)} for name, rows in sections.items() for row in rows]
    first = ("section", "name", "at")
    return [{name: line[name] for name in (*first, *(other for other in line if other not in first))} for line in lines]


def read_predictions(workdir: Path, step: int) -> Predictions:
    """The test predictions of a stored evaluation, to the bit, but without embeddings, which are not stored.

    Raises:
      InputError: a file is missing, damaged or of another version.
    """
    place = folder(workdir, step)
    try:
        info = read_scores(workdir, step)
        seen = pl.read_csv(place / "observations.csv", schema_overrides={"patient": pl.String})
        seen = seen.filter((pl.col("split") == "test") & pl.col("score").is_not_null())
        names = sorted(set(seen["patient"]))
        m = seen.height
        observations = Observations(
            u=np.zeros((m, 0), np.float32),
            score=seen["score"].to_numpy().astype(np.float32),
            patient=np.searchsorted(names, seen["patient"].to_list()).astype(np.int32),
            visit=seen["visit"].to_numpy().astype(np.int32),
            time_days=seen["time_days"].cast(pl.Float64).fill_null(math.nan).to_numpy().astype(np.float32),
            view=np.full(m, -1, np.int32),
            rows=tuple((i,) for i in range(m)),
        )
        truth = Truth.of(observations, info["pairs"], info["order"], info["change_threshold"])
        scores = seen["predicted"].cast(pl.Float64).fill_null(math.nan).to_numpy()
        if len(truth):
            pairs = pl.read_csv(place / "pairs.csv", schema_overrides={"patient": pl.String})
        else:  # an empty table is written without a header
            pairs = pl.DataFrame(schema=dict.fromkeys(_STORED, pl.Float64))
        number = {name: pairs[name].cast(pl.Float64).fill_null(math.nan).to_numpy() for name in _STORED}
        if not np.array_equal(number["first"], truth.first) or not np.array_equal(number["second"], truth.second):
            raise ValueError("pairs.csv does not belong to observations.csv")
    except InputError:
        raise
    except Exception as fault:  # polars and json raise a dozen kinds of exception for a damaged file
        raise InputError(
            f"{place} cannot be compared ({str(fault).splitlines()[0]}); score the run again: python -m "
            f"learner_jax.evaluate --workdir {workdir} --again"
        ) from fault
    probability = np.stack([number[name] for name in CHANCES], axis=1)
    return Predictions(
        truth,
        delta=number["predicted_delta"],
        change=number["predicted_change"].astype(np.int32),
        probability=None if np.isnan(probability).any() else probability,
        scores=scores,
        in_score_units=True,
        distance=number["distance"],
        swapped=number["swapped_change"].astype(np.int32),
    )


def _scores(evaluation: Evaluation, cohort: Cohort, config: Config, step: int) -> dict[str, Any]:
    readout = evaluation.fitting.readouts[PRIMARY]
    everything = [row for name in (PRIMARY, "embedding") for row in evaluation.sections.get(name, [])]
    told = ("fine_pairs", "scores", PRIMARY)
    return {
        "step": step,
        "patients": evaluation.patients,
        "score_name": readout.score_name,
        "change_threshold": readout.change_threshold,
        "pairs": readout.pairs,
        "order": readout.order,
        "note": "; ".join(evaluation.notes[name] for name in told if name in evaluation.notes),
        "notes": evaluation.notes,
        # what it was scored with, which may differ from what it was trained with
        "config": {
            "data": {"dir": config.data.dir, "split": config.data.split},
            "eval": dataclasses.asdict(config.eval),
        },
        "readout": {"fitted_on": readout.fitted_on, "threshold": readout.decision.threshold_source},
        "rows": [dataclasses.asdict(row) for row in headline(everything)],
        "fingerprints": cohort.fingerprints,
        "cohort": census(cohort, evaluation.patients),
    }


def _pairs(predictions: Predictions, cohort: Cohort) -> Iterable[dict[str, Any]]:
    truth = predictions.truth
    seen, first, second = truth.observations, truth.first, truth.second
    columns = {
        "patient": [cohort.patients[i] for i in truth.patients[truth.patient]],
        "first": first,
        "second": second,
        "visit_1": seen.visit[first],
        "visit_2": seen.visit[second],
        "days": truth.days(),
        "score_1": seen.score[first],
        "score_2": seen.score[second],
        "delta": truth.delta,
        "predicted_delta": predictions.delta,
        "distance": predictions.distance if predictions.distance is not None else np.full(len(truth), np.nan),
        "change": truth.change,
        "predicted_change": predictions.change,
        "swapped_change": predictions.swapped if predictions.swapped is not None else -predictions.change,
        "scored": truth.scored.astype(int),
    }
    p = predictions.probability if predictions.probability is not None else np.full((len(truth), 3), np.nan)
    columns |= dict(zip(CHANCES, p.T, strict=True))
    for at in blocks(len(truth)):
        lists = [x[at] if isinstance(x, list) else x[at].tolist() for x in columns.values()]
        for values in zip(*lists, strict=True):
            yield dict(zip(columns, values, strict=True))


def _observations(evaluation: Evaluation, cohort: Cohort) -> Iterable[dict[str, Any]]:
    fitting = evaluation.fitting
    readout, plane = fitting.readouts[PRIMARY], Plane.of(fitting.train.u)
    for split, seen in (
        ("train", fitting.train.sorted()),
        ("val", fitting.val.sorted()),
        (evaluation.patients, evaluation.scored),
    ):
        predicted, place = readout.scores(seen.u), plane(seen.u)
        for i in range(len(seen)):
            yield {
                "patient": cohort.patients[int(seen.patient[i])],
                "visit": int(seen.visit[i]),
                "time_days": float(seen.time_days[i]),
                "score": float(seen.score[i]),
                "predicted": float(predicted[i]),
                "split": split,
                "axis_1": float(place[i, 0]),
                "axis_2": float(place[i, 1]),
            }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object as JSON, whole; NaN is an error."""
    write_whole(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV with the columns of the first; None and NaN become empty cells."""
    rows = iter(rows)
    with path.open("w", newline="") as file:
        if first := next(rows, None):
            writer = csv.DictWriter(file, first, lineterminator="\n")
            writer.writeheader()
            every = itertools.chain([first], rows)
            writer.writerows({name: _blank(value) for name, value in row.items()} for row in every)


def _blank(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value
