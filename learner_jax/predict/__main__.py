"""Predict the change between visits of a built dataset: ``python -m learner_jax.predict --workdir … --data_dir …``.

For each pair of visits of one patient, or those that --pairs names, tells improved, stable or declined with
probabilities, the predicted change of the score with an interval, and whether the run abstains:

    python -m learner_jax.predict --workdir runs/lus/combined --data_dir data/new --pairs pairs.csv --out new.csv

The CSV of pairs has the columns patient (a hash from the dataset's cohort table), visit_1 and visit_2. The newest
evaluated checkpoint predicts. A dataset that was prepared differently from the run's is refused, and so is each pair
with a scan whose intensities are unlike those of training. --config.eval.better=higher or lower says which scores are
better. Not for clinical use.
"""

import argparse
import sys
from pathlib import Path

from learner_jax import command
from learner_jax.bucket import local
from learner_jax.evaluators import seen
from learner_jax.predict import table
from learner_jax.predict.api import Opened, predict
from learner_jax.predict.pairs import all_pairs, read_pairs
from learner_jax.predict.run import open_run
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded


def parser() -> argparse.ArgumentParser:
    """The flags, apart from fields of the config."""
    module, kind = "learner_jax.predict", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("--workdir", required=True, help="of the trained and evaluated run that predicts")
    parser.add_argument("--data_dir", required=True, help="folder of a built dataset")
    parser.add_argument("--pairs", type=Path, metavar="CSV", help="which visits to compare (default: as evaluated)")
    parser.add_argument(
        "--out", metavar="CSV", default="predictions.csv", help="where to write predictions, with a .json beside it"
    )
    parser.add_argument("--step", type=int, help="of an evaluated checkpoint (default: the newest)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return command.run(parser(), arguments, _do, stopped="nothing was written")


def _do(known: argparse.Namespace, fields: list[str]) -> None:
    out = local(known.out)
    table.beside(out)  # a bad --out fails before anything slow starts
    trained = open_run(local(known.workdir), known.step, fields)
    opened = Opened(trained, local(known.data_dir))
    seen.warn_unless_comparable(trained.workdir, opened.cohort, ", for whom it would then have to abstain")
    pairs = read_pairs(known.pairs, opened.cohort) if known.pairs else all_pairs(opened.cohort, trained.readout.order)
    if not pairs:
        raise InputError(f"{known.pairs or known.data_dir} has no two visits of one patient, so nothing to compare")
    predictions = predict(opened, pairs)
    as_json = table.write(predictions, trained, out)
    print(table.summary(predictions, trained))
    print(f"{out} and {as_json.name} list every pair")


if __name__ == "__main__":
    sys.exit(main())
