"""What an evaluation leaves in ``WORKDIR/eval/STEP``, for reports, predictions and other programs.

``scores.json`` (rows with intervals), ``pairs.csv`` (every fine pair of test), ``observations.csv`` (what was scored
and what the read-out was fitted on) and the read-out. Patients appear as keyed hashes only.
"""

import csv
import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from learner_jax.data.cohort import Cohort
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.readout import Readout
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.scoring import Scores

_FLOORS = "floors.json"


def folder(workdir: Path, step: int) -> Path:
    """Where the evaluation of a step lies."""
    return Path(workdir) / "eval" / str(step)


def exists(workdir: Path, step: int) -> bool:
    """Whether the evaluation of a step was written."""
    return (folder(workdir, step) / "scores.json").is_file()


def write(
    readout: Readout,
    scores: Scores,
    fitted_on: dict[str, Observations],
    cohort: Cohort,
    workdir: Path,
    step: int,
) -> None:
    """Write an evaluation beside its place and move it there, over an older one."""
    final = folder(workdir, step)
    final.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{step}.", dir=final.parent))
    try:
        readout.write(building)
        _write_json(building / "scores.json", _scores(readout, scores, cohort, step))
        _write_csv(building / "pairs.csv", _pairs(scores, cohort))
        observed = {**{split: (part, readout.predict(part.u)) for split, part in fitted_on.items()}}
        observed["test"] = scores.observations, scores.predicted
        _write_csv(building / "observations.csv", _observations(observed, cohort))
        os.chmod(building, 0o755)
        try:
            building.rename(final)
        except OSError:  # an older evaluation is there
            shutil.rmtree(final)
            building.rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_floors(rows: dict[str, Iterable[Row]], key: str, workdir: Path) -> None:
    """Write the rows of all floors into ``WORKDIR/eval/floors.json``; ``key`` says what they were computed from."""
    (Path(workdir) / "eval").mkdir(parents=True, exist_ok=True)
    values = {name: [dataclasses.asdict(row) for row in floor] for name, floor in rows.items()}
    _write_json(Path(workdir) / "eval" / _FLOORS, {"key": key, "rows": values})


def floors_key(workdir: Path) -> str | None:
    """What the floors of a run were computed from; None when it has none."""
    path = Path(workdir) / "eval" / _FLOORS
    return json.loads(path.read_text())["key"] if path.is_file() else None


def read_scores(workdir: Path, step: int) -> dict[str, Any]:
    """``scores.json`` of a step."""
    return json.loads((folder(workdir, step) / "scores.json").read_text())


def _scores(readout: Readout, scores: Scores, cohort: Cohort, step: int) -> dict[str, Any]:
    return {
        "step": step,
        "score_name": readout.score_name,
        "change_threshold": readout.change_threshold,
        "pairs": readout.pairs,
        "order": readout.order,
        "note": scores.note,
        "rows": [dataclasses.asdict(row) for row in scores.rows],
        "fingerprints": cohort.fingerprints,
    }


def _pairs(scores: Scores, cohort: Cohort) -> Iterable[dict[str, Any]]:
    names = [field.name for field in dataclasses.fields(scores.pairs)]
    for values in zip(*(getattr(scores.pairs, name).tolist() for name in names), strict=True):
        pair = dict(zip(names, values, strict=True))
        yield pair | {"patient": cohort.patients[pair["patient"]]}


def _observations(observed: dict[str, tuple[Observations, Any]], cohort: Cohort) -> Iterable[dict[str, Any]]:
    for split, (part, predicted) in observed.items():
        for i in range(len(part)):
            yield {
                "patient": cohort.patients[int(part.patient[i])],
                "visit": int(part.visit[i]),
                "time_days": float(part.time_days[i]),
                "score": float(part.score[i]),
                "predicted": float(predicted[i]),
                "split": split,
            }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _blank(value) for name, value in row.items()} for row in rows)


def _blank(value: Any) -> Any:
    """An unknown number is an empty cell."""
    return "" if isinstance(value, float) and math.isnan(value) else value
