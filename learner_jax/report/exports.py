"""The numbers behind a page, unrounded, as CSV beside it."""

import csv
import dataclasses
import os
import pathlib

import polars as pl

from learner_jax.evaluators.rows import Row
from learner_jax.report.study import Study, entries


def write_table(path: str | os.PathLike, study: Study) -> None:
    """Headline scores of every arm, seed, floor and version of a floor, one a line; what is unknown is an empty field.

    ``kind`` is arm, run (a seed of the arm above it), reference, floor or ceiling. ``sd_over_seeds`` belongs to a mean:
    over seeds of an arm, over draws of a floor.
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
    """Every row of every section of every run, its floors included: ``scores.csv`` and ``floors.csv`` of all of
    them."""
    tables = []
    for run in study.runs:
        for table in (run.sections, run.floor_sections):
            about = (pl.lit(run.name).alias("run"), pl.lit(run.step).alias("step"))
            tables.append(table.select(*about, pl.all()))
    pl.concat(tables).write_csv(path)
