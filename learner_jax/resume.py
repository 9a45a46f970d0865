"""Whether a run may resume from the newest checkpoint of its workdir, and what a checkpoint records about its run."""

import dataclasses
from typing import Any

import jax
import numpy as np

from learner_jax.assembly import Parts
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import changes, refuse_changes
from learner_jax.distributed import first
from learner_jax.mesh import replicated
from learner_jax.state import TrainState
from tfds_builders.errors import InputError


def resume(checkpoints: Checkpoints, parts: Parts, allow_changed: bool) -> tuple[TrainState, list[str]] | None:
    """The newest intact state and a sentence for each change of its recipe so far; None where there is no checkpoint.

    Raises:
      InputError: it was trained with another recipe and ``allow_changed`` is False, or on another dataset or split, or
        the recipe changed but no steps are left to train.
    """
    config, cohort, step = parts.config, parts.cohort, checkpoints.newest()
    if step is None:
        return None
    meta = checkpoints.meta(step)
    changed = changes(meta["config"], config)
    if meta["fingerprints"] != cohort.fingerprints:
        other = [name for name, mark in cohort.fingerprints.items() if meta["fingerprints"].get(name) != mark]
        fields = [change for change in changed if change.startswith("data.")]
        raise InputError(
            f"the checkpoints were trained with another {' and '.join(other).replace('_', ' ')} than "
            f"{config.data.dir} gives now{f' ({chr(59).join(fields)})' if fields else ''}; point --config.data.dir and "
            "--config.data.split to the old one, set other fields of the data back, or use a new --workdir"
        )
    if not allow_changed:  # before reading the arrays: those of another backbone would look damaged
        remedy = "Use a new --workdir, set them back, or train on with them by --allow_changed"
        refuse_changes(meta["config"], config, remedy)
    changed = [f"from step {step} on: {change}" for change in changed]
    if changed and step >= config.steps:
        raise InputError(
            f"the newest checkpoint is of step {step} and config.steps is {config.steps}, so nothing would be trained "
            f"{'; '.join(changed)}. Set --config.steps above {step}, or the fields back"
        )
    if first():
        for change in changed:
            print(change)
    state = checkpoints.restore(step, parts.state_shapes())
    numbers = {"seed": np.uint32(config.seed), "learning_rate": np.float32(config.optim.learning_rate)}
    current = jax.device_put(numbers, replicated(parts.mesh))  # the checkpoint holds those from before a change
    return dataclasses.replace(state, **current), meta.get("changed", []) + changed


def metadata(parts: Parts, changed: list[str]) -> dict[str, Any]:
    """What a checkpoint stores beside its arrays."""
    config, cohort = parts.config, parts.cohort
    return {
        "config": dataclasses.asdict(config),
        "changed": changed,
        "fingerprints": cohort.fingerprints,
        "score": {"name": config.data.score, "mean": cohort.score_mean, "std": cohort.score_std},
        "jax": jax.__version__,
    }
