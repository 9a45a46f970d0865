"""Predict the change between two scans of one patient, earlier and later.

    python -m learner_jax.predict.scans runs/lus/combined day1.mp4 day5.mp4 --view L1 --picture change.png

The files are read and prepared as the run's dataset was, in a temporary folder that is removed afterwards. Prints
improved, stable or declined with calibrated probabilities and the predicted change of the score with an interval, and
abstains where that is not sure. Scans that cannot be read, or whose intensities are unlike those of training, are
refused. --config.eval.better=higher or lower says which scores are better. Not for clinical use.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from learner_jax import command
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded


def parser() -> argparse.ArgumentParser:
    """The flags, apart from fields of the config."""
    module, kind = "learner_jax.predict.scans", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("run", metavar="RUN", help="workdir of a trained and evaluated run")
    parser.add_argument(
        "first", metavar="SCAN_A", type=Path, help="of the earlier visit, of a kind that the run's builder reads"
    )
    parser.add_argument("second", metavar="SCAN_B", type=Path, help="of the later visit")
    parser.add_argument("--view", help="of both scans, one that the run has seen; needed if it has seen several")
    parser.add_argument("--picture", metavar="PNG", help="write the scans, where the run looks, and the bars")
    parser.add_argument("--step", type=int, help="of an evaluated checkpoint (default: the newest)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0; 2 if the input is at fault; 130 if stopped."""
    return command.run(parser(), arguments, _do, stopped="nothing was written")


def _do(known: argparse.Namespace, fields: list[str]) -> None:
    from tfds_builders.build import stoppable

    with stoppable(), tempfile.TemporaryDirectory(prefix="learner-predict.") as folder:
        _predict(known, fields, Path(folder))


def _predict(known: argparse.Namespace, fields: list[str], folder: Path) -> None:
    # JAX takes seconds to import: --help and a wrong flag come first
    from learner_jax.bucket import local
    from learner_jax.predict import files
    from learner_jax.predict.run import open_run

    picture = local(known.picture) if known.picture else None
    if picture and picture.is_dir():
        raise InputError(f"{picture} is a folder; name the file of the picture with --picture")
    run = open_run(local(known.run), known.step, fields)
    prediction, opened = files.predict_files(run, (known.first, known.second), known.view, folder)
    print("\n".join(files.answer(prediction, run, (known.first.name, known.second.name))))
    if picture:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(files.picture(prediction, opened))
        print(f"{picture} shows both")


if __name__ == "__main__":
    sys.exit(main())
