"""The weights a new run starts from: fresh, published, or the encoder of an earlier run."""

import dataclasses
from pathlib import Path

from learner_jax.assembly import Parts
from learner_jax.backbones import weights
from learner_jax.backbones.api import Variables
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import BackboneConfig
from learner_jax.evaluators import seen
from learner_jax.placement import placed_shapes
from tfds_builders.errors import InputError


def initial(parts: Parts, workdir: Path | None = None) -> Variables | None:
    """The backbone's parameters and statistics at step 0; None where the run starts from fresh ones.

    Args:
      parts: of the run.
      workdir: of the run, if it has one.

    Raises:
      InputError: the config names two sources of weights, or one that cannot be used or that was trained on this
        cohort's test patients.
    """
    config, backbone, spec = parts.config, parts.recipe.backbone, parts.spec
    if not config.init_from:
        return weights.load(config, backbone, spec)
    earlier = Path(config.init_from)
    if workdir is not None and earlier.absolute() == workdir.absolute():
        raise InputError(f"config.init_from names the workdir itself, {workdir}. Use a new --workdir")
    if not (earlier / "checkpoints").is_dir():
        raise InputError(f"config.init_from is {earlier}, which has no checkpoints of a run. Set --config.init_from=…")
    with Checkpoints(earlier) as checkpoints:
        step = checkpoints.newest()
        if step is None:
            raise InputError(f"config.init_from is {earlier}, which has no checkpoint yet")
        theirs, ours = checkpoints.meta(step)["config"]["backbone"], config.backbone
        if (theirs["name"], theirs["norm"]) != (ours.name, ours.norm):
            raise InputError(
                f"{earlier} trained {theirs['name']} with {theirs['norm']} norm, and this config asks for {ours.name} "
                f"with {ours.norm} norm. Set --config.backbone.name={theirs['name']} "
                f"--config.backbone.norm={theirs['norm']}, or another --config.init_from"
            )
        _check_weights(earlier, dataclasses.replace(ours, weights=theirs["weights"]), ours)
        seen.refuse_seen(earlier, parts.cohort)
        return checkpoints.restore_for_scoring(step, placed_shapes(backbone.shapes(spec), parts.mesh))[0]


def _check_weights(earlier: Path, theirs: BackboneConfig, ours: BackboneConfig) -> None:
    """Refuse published weights other than the earlier run's: they determine how intensities are normalised."""
    published = weights.of(theirs)
    if published is not None and not ours.weights:
        raise InputError(
            f"{earlier} started from {theirs.weights} weights and sees scans as those did. Set "
            f"--config.backbone.weights={theirs.weights} too: parameters come from config.init_from, and only the "
            "normalisation of scans from the weights"
        )
    if ours.weights and (published is None or ours.weights != theirs.weights):
        raise InputError(
            f"both config.init_from={earlier} and config.backbone.weights={ours.weights} name weights to start from; "
            f"leave one of them empty{f', or name {theirs.weights}' if published else ''}"
        )
