"""Read what training and evaluation have left in run folders."""

import dataclasses
import functools
import math
import os
import pathlib
import typing

import numpy as np
import polars as pl

from learner_jax.evaluators import places
from learner_jax.evaluators.names import CHANCES, PRIMARY
from learner_jax.evaluators.rows import Row
from learner_jax.report import environment, goodput
from learner_jax.report.collapse import PATIENCE, diagnose
from learner_jax.report.folders import all_runs
from learner_jax.report.titles import listed
from learner_jax.report.writer import newest_metrics, read_metrics
from tfds_builders.errors import InputError
from tfds_builders.whole import read_object

# A report is made without JAX, so the registry of objectives cannot be asked for these words.
_OBJECTIVES = {"learner_combined": "contrastive + MSE", "learner": "contrastive alone", "mse": "MSE alone"}

_REMEDY = "Evaluate the run again, or remove it."
_PAIRS = {
    **dict.fromkeys(("patient", "first", "second"), pl.String),
    **dict.fromkeys(("visit_1", "visit_2", "days", "score_1", "score_2", "delta", "predicted_delta"), pl.Float64),
    **dict.fromkeys(("distance", "change", "predicted_change"), pl.Float64),
    "scored": pl.Float64,  # 1: this pair counts; 0: with eval.order=consecutive, its visits are not neighbours
}
_OBSERVATIONS = {
    "patient": pl.String,  # a keyed hash: even one such as 12345678 or 12e34567 must not become a number
    **dict.fromkeys(("visit", "time_days", "score", "predicted"), pl.Float64),
    "split": pl.String,
}
_CHANCES = dict.fromkeys(CHANCES, pl.Float64)  # not every read-out has them
_PLACES = dict.fromkeys(("axis_1", "axis_2"), pl.Float64)  # evaluations from before 2026-11-29 have none
_SECTIONS = {
    **dict.fromkeys(("section", "name", "at"), pl.String),  # a label may look like a number
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
    **dict.fromkeys(("n_patients", "n_pairs"), pl.Int64),
    "note": pl.String,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One evaluated run, with its newest evaluation."""

    name: str
    step: int
    config: dict[str, typing.Any]  # as it was trained with; where scoring is concerned, as it was scored with
    scores: dict[str, typing.Any]  # scores.json without its rows
    rows: dict[str, Row]
    floors: dict[str, dict[str, Row]]
    floor_notes: dict[str, str]  # why a floor is missing
    sections: pl.DataFrame  # every row of every section of scores.csv
    floor_sections: pl.DataFrame  # the same of floors.csv, where each floor is a section
    pairs: pl.DataFrame  # the scored ones
    observations: pl.DataFrame
    lives: tuple[goodput.Life, ...]  # its processes, and where their time went
    environments: tuple[dict[str, typing.Any], ...]  # in which it was trained; usually one
    folder: pathlib.Path

    @property
    def objective(self) -> str:
        """The objective in words."""
        name = self.config.get("objective", {}).get("name", "")
        return _OBJECTIVES.get(name, name)

    @property
    def score_name(self) -> str:
        """Name of the score."""
        return str(self.scores.get("score_name") or "score")

    @property
    def confidence(self) -> float:
        """Coverage of the intervals, from the evaluation or, if it does not say, from the config."""
        return float(self.scores.get("confidence") or self.config.get("eval", {}).get("confidence", 0.95))

    @property
    def notes(self) -> dict[str, str]:
        """By name, why a read-out or an analysis is missing, or what must be known about it."""
        return self.scores.get("notes") or {}

    @property
    def draw(self) -> str:
        """Fingerprint of the training visits that the run saw; empty if the evaluation does not say."""
        return str(self.scores.get("fingerprints", {}).get("training_rows", ""))

    @functools.cached_property
    def metrics(self) -> list[dict[str, typing.Any]]:
        """All lines of its metrics.

        Read only when asked for: most runs of a study are not drawn, and 100,000 lines take 0.3 GB.

        Raises:
          InputError: the file is damaged.
        """
        return read_metrics(self.folder / "metrics.jsonl")

    @functools.cached_property
    def primary(self) -> tuple[Row, ...]:
        """Every row of the primary read-out, including those for parts of the pairs."""
        own = self.sections.filter(pl.col("section") == PRIMARY).drop("section").iter_rows(named=True)
        return tuple(Row(**row | {"note": row["note"] or "", "at": row["at"] or ""}) for row in own)

    def curve(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of one of its metrics; lines where it is absent or null are left out."""
        points = [(line["step"], line[metric]) for line in self.metrics if line.get(metric) is not None]
        steps, values = np.array(points, float).reshape(-1, 2).T
        return steps, values

    @property
    def collapse(self) -> str:
        """What the newest metrics say about a collapse; empty if there is none."""
        newest = newest_metrics(self.folder / "metrics.jsonl", PATIENCE)
        return diagnose(newest, self.config.get("objective", {}).get("name", ""))


def find_runs(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The evaluated runs in ``folder``, which is a run or holds runs, sorted by name.

    Raises:
      InputError: there is no run, or none is evaluated; the message says which command to run.
    """
    runs = all_runs(folder)
    if not runs:
        raise InputError(
            f"{folder} holds no run: neither it nor a folder in it has a config.json. "
            "Make one with `python -m learner_jax.main --config … --workdir …`."
        )
    evaluated = [run for run in runs if _newest(run)]
    if not evaluated:
        raise InputError(
            f"{folder} holds {len(runs)} run{'s' * (len(runs) > 1)} ({listed(run.name for run in runs)}) and no "
            f"evaluation. Score first: `python -m learner_jax.evaluate --workdir {folder}`."
        )
    return evaluated


def not_evaluated(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The runs that :func:`find_runs` leaves out."""
    return [run for run in all_runs(folder) if not _newest(run)]


def load(run: str | os.PathLike) -> Run:
    """Read a run folder and its newest evaluation.

    Raises:
      InputError: the run is not evaluated, or a file is damaged or lacks a column.
    """
    folder = pathlib.Path(run)
    newest = _newest(folder)
    if newest is None:
        raise InputError(
            f"{folder} has no evaluation. Score it first: `python -m learner_jax.evaluate --workdir {folder}`."
        )
    scores = read_object(newest / "scores.json", _REMEDY)
    floors_path = newest.parent / "floors.json"
    floors = read_object(floors_path, _REMEDY) if floors_path.exists() else {}
    pairs = _read_csv(newest / "pairs.csv", _PAIRS, _CHANCES)
    return Run(
        name=folder.resolve().name,
        step=int(scores.get("step", newest.name)),
        config=_scored_with(read_object(folder / "config.json", _REMEDY), scores.get("config") or {}),
        scores={name: value for name, value in scores.items() if name != "rows"},
        rows=parse_rows(scores.get("rows", []), newest / "scores.json"),
        floors={name: parse_rows(rows, floors_path) for name, rows in floors.get("rows", {}).items()},
        floor_notes=floors.get("notes", {}),
        sections=_read_csv(newest / "scores.csv", _SECTIONS),
        floor_sections=_read_csv(newest.parent / "floors.csv", _SECTIONS),
        pairs=pairs.filter(pl.col("scored") == 1),
        observations=_read_csv(newest / "observations.csv", _OBSERVATIONS, _PLACES),
        lives=tuple(goodput.read(folder)),
        environments=tuple(environment.read(folder)),
        folder=folder,
    )


def _newest(run: pathlib.Path) -> pathlib.Path | None:
    step = places.newest(run)
    return None if step is None else places.folder(run, step)


def parse_rows(rows: list[dict[str, typing.Any]], path: pathlib.Path) -> dict[str, Row]:
    """Rows by name, from the parsed JSON of ``path``.

    Raises:
      InputError: one of them is not a row.
    """
    known = {field.name for field in dataclasses.fields(Row)}
    try:
        parsed = [Row(**{name: _null(value) for name, value in row.items() if name in known}) for row in rows]
    except (TypeError, AttributeError) as error:
        raise InputError(f"{path} has a row that is not a score ({error}). Evaluate the run again.") from error
    return {row.name: row for row in parsed}


def _scored_with(config: dict[str, typing.Any], scored: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return config | {part: config.get(part, {}) | fields for part, fields in scored.items()}


def _null(value: typing.Any) -> typing.Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_csv(
    path: pathlib.Path, schema: dict[str, typing.Any], beside: dict[str, typing.Any] | None = None
) -> pl.DataFrame:
    """Read the columns of ``schema``, and those of ``beside``, which are null if the file does not have them."""
    beside = beside or {}
    if not path.exists() or path.stat().st_size == 0:  # a table without rows is written without its header
        return pl.DataFrame(schema=schema | beside)
    try:
        known = schema | beside
        table = pl.read_csv(path, schema_overrides=known, null_values=["", "nan", "NaN", "None", "null"])
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}). Evaluate the run again.") from error
    missing = [name for name in schema if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {missing[0]}; it has {', '.join(table.columns)}. Evaluate again: "
            "`python -m learner_jax.evaluate --workdir … --again`."
        )
    empty = [pl.lit(None, kind).alias(name) for name, kind in beside.items() if name not in table.columns]
    return table.with_columns(empty).select(*schema, *beside)
