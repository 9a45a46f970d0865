"""Export a trained run as a program that needs none of this software: ``python -m learner_jax.export --workdir …``.

Writes the program (preprocessing on the device, backbone, read-out, decision) as StableHLO for CPU, CUDA and TPU and
any number of pairs, about.json, which describes its inputs and outputs, and load.py, which runs it with jax, numpy and
flatbuffers:

    python -m learner_jax.export --workdir runs/lus/combined --out exported
    python exported/load.py pairs.npz

The newest evaluated checkpoint is exported. Not for clinical use.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from learner_jax import backbones, command
from learner_jax.batch import BatchSpec
from learner_jax.bucket import local
from learner_jax.checkpoint import Checkpoints
from learner_jax.evaluators.names import WORDS
from learner_jax.export.program import exported, pairs
from learner_jax.mesh import make_mesh
from learner_jax.placement import on_host, placed_shapes
from learner_jax.predict.run import TrainedRun, open_run
from learner_jax.predict.wording import NOT_CLINICAL, words
from learner_jax.report import environment
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded
from tfds_builders.wording import plural


def write(run: TrainedRun, folder: Path) -> None:
    """Write ``program.stablehlo``, ``about.json`` and ``load.py`` into an empty or new folder.

    Raises:
      InputError: there is something in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; name a new folder with --out")
    stored, config = run.readout.spec["stored"], run.config
    backbone = backbones.create(config.backbone.name, config.backbone.norm)
    spec = BatchSpec(1, config.data.frames, config.data.size, config.data.size, stored["scan_shape"][3])
    with Checkpoints(run.workdir) as checkpoints:
        shapes = placed_shapes(backbone.shapes(spec), make_mesh())
        restored = on_host(checkpoints.restore_for_scoring(run.step, shapes)[0])
    variables = jax.tree.map(jnp.asarray, restored)  # constants on one device, wherever the program will run
    made = exported(pairs(run, variables), tuple(stored["scan_shape"]), stored["dtype"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.stablehlo").write_bytes(made.serialize())
    (folder / "about.json").write_text(json.dumps(about(run), indent=1, allow_nan=False) + "\n")
    shutil.copyfile(Path(__file__).parent / "load.py", folder / "load.py")


def about(run: TrainedRun) -> dict[str, Any]:
    """The program's inputs and outputs, and what it was made from."""
    readout, config = run.readout, run.config
    stored, bound = readout.spec["stored"], readout.calibration
    return {
        "note": f"{NOT_CLINICAL.capitalize()}.",
        "made_with": environment.current(),
        "run": run.workdir.absolute().name,
        "step": run.step,
        "backbone": readout.spec["backbone"],
        "dtype": stored["dtype"],
        "inputs": {
            "scans": f"{stored['dtype']} [b, 2, {', '.join(map(str, stored['scan_shape']))}]: the earlier and the "
            "later scan of one patient, prepared and stored as below",
            "scale": "float32 [b, 2]: intensity = scan * scale + offset",
            "offset": "float32 [b, 2]",
        },
        "outputs": {
            "delta": f"float32 [b]: predicted change of {readout.score_name}, in its units",
            "low, high": f"float32 [b]: an interval that holds the true change in {bound.coverage:.0%} of pairs; NaN: "
            "not calibrated",
            "change": "int32 [b]: -1, 0, 1",
            "probability": f"float32 [b, 3]: of -1, 0, 1 ({', '.join(WORDS)}); NaN: not calibrated",
            "abstain": "bool [b]: the class is not to be relied on",
            "unlike": "bool [b]: a scan's mean or SD of intensity is unlike those of training: do not use the rest",
        },
        "words": dict(zip(("-1", "0", "1"), words(config.eval.better), strict=True)),
        "score": readout.score_name,
        "change_threshold": readout.change_threshold,
        "calibration": vars(bound),
        "calibrated_on": f"{readout.order} pairs of visits, each the mean of up to {plural(len(run.views), 'view')}",
        "views": list(run.views),
        "synthetic": run.synthetic,
        "stored": stored,
        "intensity": readout.spec["intensity"],
    }


def parser() -> argparse.ArgumentParser:
    """The flags, apart from fields of the config."""
    module, kind = "learner_jax.export", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("--workdir", required=True, help="of a trained and evaluated run")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--step", type=int, help="of an evaluated checkpoint (default: the newest)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return command.run(parser(), arguments, _do, stopped="nothing was written")


def _do(known: argparse.Namespace, fields: list[str]) -> None:
    trained = open_run(local(known.workdir), known.step, fields)
    out = local(known.out)
    write(trained, out)
    size = sum(path.stat().st_size for path in out.iterdir())
    told = f"{out}: {trained.readout.spec['backbone']} at step {trained.step}, {size / 2**20:.1f} MiB"
    print(f"{told}; python {out / 'load.py'} pairs.npz runs it. {NOT_CLINICAL.capitalize()}.")


if __name__ == "__main__":
    sys.exit(main())
