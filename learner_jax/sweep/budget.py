"""How many steps the budget of a study gives to a run."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import jax

from learner_jax import backbones, objectives
from learner_jax.batch import BatchSpec
from learner_jax.config import Config
from learner_jax.mesh import make_mesh
from learner_jax.report.speed import TRAINING
from learner_jax.sweep.plan import Budget
from tfds_builders.record import DatasetMeta, check_complete


def steps(budget: Budget, config: Config, examples_per_second: Callable[[], float]) -> int:
    """Steps that spend the budget: a whole number of updates, at least one.

    Args:
      budget: of the study.
      config: of the run, whose batch size, backbone and augmentations they depend on.
      examples_per_second: measures the run's speed here; is called for a budget of seconds alone.

    Raises:
      InputError: for operations, the config names no backbone, objective or dataset that there is.
    """
    if budget.kind == "steps":
        found = budget.steps
    elif budget.kind == "examples":
        found = budget.examples / config.batch_size
    elif budget.kind == "flops":
        found = budget.flops / Model.of(config).flops
    else:
        found = budget.seconds * examples_per_second() / config.batch_size
    return max(1, round(found / config.optim.accumulate)) * config.optim.accumulate


@dataclasses.dataclass(frozen=True)
class Model:
    """The backbone of a run: ``flops`` of one training step, over all devices, and its ``parameters``."""

    parameters: int
    flops: int

    @classmethod
    def of(cls, config: Config) -> "Model":
        """
        Raises:
          InputError: the config names no backbone, objective or dataset that there is.
        """
        check_complete(Path(config.data.dir))
        channels = DatasetMeta.read(Path(config.data.dir)).scan_shape[3]
        spec = BatchSpec(1, config.data.frames, config.data.size, config.data.size, channels)
        parameters, flops = _counted(config.backbone.name, config.backbone.norm, spec)
        copies = objectives.create(config.objective, make_mesh(), 2).n_augmentations
        return cls(parameters, TRAINING * flops * config.batch_size * copies)


@functools.cache
def _counted(name: str, norm: str, spec: BatchSpec) -> tuple[int, int]:
    backbone = backbones.create(name, norm)
    leaves = jax.tree.leaves(backbone.shapes(spec)["params"])
    return sum(leaf.size for leaf in leaves), backbone.flops(spec)
