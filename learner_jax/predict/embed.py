"""The embeddings of a dataset, for analyses of your own: ``python -m learner_jax.predict.embed --workdir …``.

    python -m learner_jax.predict.embed --workdir runs/lus/combined --data_dir data/new --out new.parquet

Writes the embedding of every scan of a built dataset as Parquet: the dataset's cohort table (keyed hashes, visits,
scores) with two more columns. ``embedding`` holds float32 numbers; ``seen`` is ``train`` or ``val`` if the run was
trained or validated on the patient, and otherwise empty. Scans that cannot be read have no row.

The newest evaluated checkpoint is used. A dataset that was prepared differently from the run's is refused.
"""

import argparse
import sys

import numpy as np
import polars as pl

from learner_jax import command
from learner_jax.bucket import local
from learner_jax.evaluators import seen
from learner_jax.evaluators.embed import Embedder, encoder_of
from learner_jax.predict.api import Opened
from learner_jax.predict.run import open_run
from tfds_builders.cohort import read_table
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded
from tfds_builders.whole import replacing
from tfds_builders.wording import plural


def embeddings(opened: Opened) -> pl.DataFrame:
    """The cohort table of a dataset without scans that cannot be read, with the columns ``embedding`` (f32 ``[d]``,
    as scoring sees it) and ``seen``.

    Raises:
      InputError: the cohort table cannot be read.
    """
    cohort, reader, config = opened.cohort, opened.reader, opened.config
    rows = np.arange(len(cohort.scan_ids))
    embed = Embedder(encoder_of(opened.backbone, config), reader, opened.mesh, config.eval.batch_size)
    u = embed(opened.variables, rows)
    used = seen.used_in(opened.run.workdir, cohort)
    table = read_table(config.data.dir)
    table = table.with_columns(
        pl.Series("seen", [used.get(patient) for patient in table["patient"]], pl.String),
        pl.Series("embedding", u, pl.Array(pl.Float32, u.shape[1])),
    )
    return table.filter(pl.Series(reader.damage.spared(rows)))


def parser() -> argparse.ArgumentParser:
    """The flags."""
    module, kind = "learner_jax.predict.embed", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("--workdir", required=True, help="of a run that was trained and evaluated")
    parser.add_argument("--data_dir", required=True, help="folder of a built dataset")
    parser.add_argument("--out", metavar="PARQUET", default="embeddings.parquet", help="the table to write")
    parser.add_argument("--step", type=int, help="of an evaluated checkpoint (default: the newest)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return command.run(parser(), arguments, _do, stopped="nothing was written")


def _do(known: argparse.Namespace, fields: list[str]) -> None:
    out = local(known.out)
    if out.suffix != ".parquet" or out.is_dir():
        raise InputError(f"--out is {out}; the table is written as Parquet, so name a file that ends in .parquet")
    run = open_run(local(known.workdir), known.step, fields)
    opened = Opened(run, local(known.data_dir))
    seen.warn_unless_comparable(run.workdir, opened.cohort)
    table = embeddings(opened)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as beside:
        table.write_parquet(beside)
    width = table.schema["embedding"].shape[0]
    lost = len(opened.cohort.scan_ids) - table.height
    print(
        f"{out}: embeddings of {plural(table.height, 'scan')}, {width} numbers each, at step {run.step} of "
        f"{run.workdir}" + (f"; {plural(lost, 'scan')} cannot be read" if lost else "")
    )


if __name__ == "__main__":
    sys.exit(main())
