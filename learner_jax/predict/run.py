"""A trained and evaluated run, read from its folder to predict with."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from learner_jax.checkpoint import Checkpoints
from learner_jax.config import Config, check, refuse_changes
from learner_jax.evaluators import places
from learner_jax.evaluators.readouts import Readout
from learner_jax.fields import from_dict, override
from learner_jax.predict.compatible import is_synthetic
from tfds_builders.errors import InputError
from tfds_builders.whole import read_object

_READ = ("eval.better", "eval.batch_size", "data.read_threads", "data.read_ahead")  # fields that a prediction reads


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """The config of a run, and the primary read-out of one of its checkpoints."""

    workdir: Path
    config: Config
    step: int
    readout: Readout

    @property
    def views(self) -> tuple[str, ...]:
        """The views that the run was trained on."""
        return tuple(self.readout.spec["views"])

    @property
    def synthetic(self) -> bool:
        """Whether the run was trained on simulated scans."""
        return is_synthetic(self.readout.spec["stored"])


def open_run(workdir: Path, step: int | None = None, overrides: Iterable[str] = ()) -> TrainedRun:
    """Open a run at its newest checkpoint that has an evaluation, or at ``step``.

    Args:
      workdir: of the run.
      step: of a checkpoint with an evaluation.
      overrides: ``--config.section.field=value`` for fields that a prediction reads, such as ``eval.better``.

    Raises:
      InputError: there is no run or no evaluation, the checkpoint is gone, the read-out is of scans within a visit, or
        a field is overridden that a prediction does not read.
    """
    if not (workdir / "config.json").is_file():
        raise InputError(f"{workdir} is no run: it holds no config.json. Name the --workdir of one that was trained")
    stored = read_object(workdir / "config.json", "Copy the run again")
    config: Config = from_dict(Config, stored)
    overrides = list(overrides)
    for argument in overrides:
        override(config, argument)
    check(config)
    refuse_changes(stored, config)
    evaluate = f"python -m learner_jax.evaluate --workdir {workdir}"
    if config.eval.patients != "test":
        evaluate += " --config.eval.patients=test"
    _refuse_ignored(overrides, evaluate)
    evaluated = places.steps(workdir)
    if not evaluated:
        raise InputError(
            f"{workdir} has no evaluation of test patients, and a prediction needs its read-out: {evaluate}"
        )
    if step is not None and step not in evaluated:
        raise InputError(f"step {step} of {workdir} was not evaluated; evaluated: {', '.join(map(str, evaluated))}")
    with Checkpoints(workdir) as checkpoints:
        kept = [at for at in checkpoints.steps() if at in (evaluated if step is None else [step])]
    if not kept:
        which = f"step {step}" if step is not None else f"the evaluated steps {', '.join(map(str, evaluated))}"
        raise InputError(f"the checkpoint of {which} of {workdir} is no longer there; evaluate one that is: {evaluate}")
    readout = Readout.read(places.folder(workdir, kept[-1]), "readout")
    if readout.pairs != "visits":
        raise InputError(
            f"{workdir} was evaluated with eval.pairs={readout.pairs}: differences between scans of one visit, which "
            "are no change over time. Evaluate it with --config.eval.pairs=visits"
        )
    # the evaluation counts: since then the run may have been scored on other pairs, or trained on with other frames
    config.eval.pairs, seen = readout.pairs, readout.spec["input"]
    config.data.frames, config.data.size = seen["frames"], seen["size"]
    if not isinstance(seen["mean"], list):  # a list, one per channel, comes with published weights
        config.data.mean, config.data.std = seen["mean"], seen["std"]
    return TrainedRun(workdir, config, kept[-1], readout)


def _refuse_ignored(overrides: Iterable[str], evaluate: str) -> None:
    """Refuse fields that would be ignored: a prediction takes all but a few from the run's evaluation.

    Raises:
      InputError: names the field, those that are read, and how to score the run with it.
    """
    for argument in overrides:
        path = argument.removeprefix("--config.").partition("=")[0]
        if path not in _READ:
            raise InputError(
                f"{argument!r} would change nothing: a prediction takes it from the run's evaluation and only reads "
                f"{', '.join(_READ)}. Score the run with it first: {evaluate} {argument}"
            )
