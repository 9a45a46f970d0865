"""How many steps the budget of a study allows a run."""

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
    """The number of steps that uses up the budget, rounded to a whole number of updates, at least one.

    Args:
      budget: of the study.
      config: of the run; its batch size, backbone and augmentations matter.
      examples_per_second: returns the measured speed of the run; called only for a budget of seconds.

    Raises:
      InputError: the budget is of operations, and the config names an unknown backbone, objective or dataset.
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
    """The size of a run's backbone: its ``parameters``, and the ``flops`` of one training step over all devices."""

    parameters: int
    flops: int

    @classmethod
    def of(cls, config: Config) -> "Model":
        """The size of the backbone in a config.

        Raises:
          InputError: the config names an unknown backbone, objective or dataset.
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
