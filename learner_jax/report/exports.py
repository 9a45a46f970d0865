"""The numbers behind a page, unrounded, as CSV and JSON beside it."""

import csv
import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import polars as pl

from learner_jax.evaluators.rows import Row
from learner_jax.report.study import Study, entries


def write_table(path: str | os.PathLike, study: Study) -> None:
    """Write the main scores of every arm, seed, floor and version of a floor, one per line; unknown fields are empty.

    ``kind`` is arm, run (one seed of the arm above), reference, floor or ceiling. ``sd_over_seeds`` belongs to a mean
    over the seeds of an arm or over the draws of a floor.
    """
    fields = [field.name for field in dataclasses.fields(Row)]
    with pathlib.Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kind", "arm", "label", "step", *fields, "sd_over_seeds"])
        for entry in entries(study, every=True):
            about = (entry.kind, entry.name, entry.label, entry.step)
            for row in entry.rows.values():
                values = (getattr(row, field) for field in fields)
                writer.writerow([*about, *values, entry.spread.get(row.name, "")])


def write_sections(path: str | os.PathLike, study: Study) -> None:
    """Write every row of every section of every run, floors included: all ``scores.csv`` and ``floors.csv`` in one."""
    tables = []
    for run in study.runs:
        for table in (run.sections, run.floor_sections):
            about = (pl.lit(run.name).alias("run"), pl.lit(run.step).alias("step"))
            tables.append(table.select(*about, pl.all()))
    pl.concat(tables).write_csv(path)


def write_json(
    path: str | os.PathLike, study: Study, about: Mapping[str, Sequence[tuple[str, str]]], warnings: Sequence[str]
) -> None:
    """Write the rows of :func:`write_table` as JSON, with the facts and warnings of the page.

    Args:
      about: lists of (what, value), by section of the page.
      warnings: sentences.
    """
    lines = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "label": entry.label,
            "rows": [dataclasses.asdict(row) for row in entry.rows.values()],
            "sd_over_seeds": entry.spread,
        }
        for entry in entries(study, every=True)
    ]
    values = {name: dict(told) for name, told in about.items()} | {"warnings": list(warnings), "lines": lines}
    pathlib.Path(path).write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
