"""Config -> the fixed parts of a run, checked against each other."""

import dataclasses
import functools
from typing import Any

import jax
from jax.sharding import Mesh

from learner_jax import augment, backbones, objectives, programs
from learner_jax.augment import Augmentation
from learner_jax.backbones import weights
from learner_jax.backbones.api import Variables
from learner_jax.batch import BatchSpec
from learner_jax.config import Config, check
from learner_jax.data import cohort as cohorts
from learner_jax.data import samplers
from learner_jax.data.cohort import Cohort
from learner_jax.data.pipeline import Reader, open_reader
from learner_jax.data.samplers import Sampler
from learner_jax.distributed import check_same, first
from learner_jax.encoder import check_chunk
from learner_jax.evaluators.evaluation import chosen_readouts
from learner_jax.fields import walk
from learner_jax.mesh import check_batch_size, make_mesh
from learner_jax.optim import check_freeze, make_optimizer
from learner_jax.placement import placed_shapes
from learner_jax.report.reporter import check_reporting
from learner_jax.state import TrainState, init_state
from learner_jax.step import Recipe


@dataclasses.dataclass(frozen=True)
class Parts:
    """The fixed parts of a run."""

    config: Config
    cohort: Cohort
    sampler: Sampler
    reader: Reader
    spec: BatchSpec  # of the global batch
    recipe: Recipe

    @property
    def mesh(self) -> Mesh:
        """All devices of the run."""
        return self.recipe.mesh

    def state(self, start: Variables | None = None) -> TrainState:
        """The state at step 0, with the backbone's variables from ``start`` or fresh ones."""
        recipe, optim = self.recipe, self.config.optim
        return init_state(
            self.config.seed,
            optim.learning_rate,
            recipe.backbone,
            recipe.objective,
            recipe.optimizer,
            self.spec,
            self.mesh,
            start,
            averaged=optim.average > 0,
        )

    def state_shapes(self) -> TrainState:
        """Shapes, dtypes and shardings of a state."""
        return placed_shapes(jax.eval_shape(self.state), self.mesh)


def assemble(config: Config) -> Parts:
    """The parts that a config describes.

    Raises:
      InputError: the config names something that does not exist, or its parts do not fit together.
    """
    check(config)
    check_reporting(config)
    mesh = make_mesh(config=config.mesh)
    check_batch_size(config.batch_size, mesh, "config.batch_size")
    check_batch_size(config.eval.batch_size, mesh, "config.eval.batch_size")
    cohort = cohorts.load(config.data)
    sampler = samplers.create(config, cohort)
    if sampler.note and first():
        print(sampler.note)
    reader = open_reader(cohort, config.data)
    spec = reader.spec(config.batch_size)
    augmentation = augment.for_cohort(config, cohort.meta, cohort.views)
    recipe = compose(config, mesh, spec, len(cohort.patients), augmentation)
    check_chunk(config.train.grad_cache_chunk, config.batch_size * recipe.objective.n_augmentations, mesh)
    weights.check_licence(config.backbone)
    chosen_readouts(config.eval.readouts)
    check_same(_shared_by_processes(config, cohort))
    return Parts(config, cohort, sampler, reader, spec, recipe)


def _shared_by_processes(config: Config, cohort: Cohort) -> dict[str, Any]:
    """What must be equal on all processes of a run. Not ``data.dir``: a host may have its own copy of the data."""
    fields = {f"config.{path}": value for path, _, value in walk(config) if path != "data.dir"}
    return fields | cohort.fingerprints | {"the version of JAX": jax.__version__}


def compose(config: Config, mesh: Mesh, spec: BatchSpec, n_patients: int, augmentation: Augmentation) -> Recipe:
    """The recipe of a run on batches like ``spec``; runs whose programs are equal get the same object.

    Raises:
      InputError: the backbone cannot take such scans, or the config names something that does not exist.
    """
    return _composed(programs.key_of(config), mesh, spec, n_patients, augmentation)


@functools.lru_cache(maxsize=programs.KEPT)
def _composed(key: str, mesh: Mesh, spec: BatchSpec, n_patients: int, augmentation: Augmentation) -> Recipe:
    config = programs.config_of(key)
    backbone = backbones.create(config.backbone.name, config.backbone.norm)
    backbone.check(spec)
    check_freeze(config.optim.freeze, backbone.shapes(spec)["params"])
    distances = backbone.distances(spec) if config.optim.layer_decay < 1 else {}
    optimizer = make_optimizer(config.optim, config.steps, distances)
    objective = objectives.create(config.objective, mesh, n_patients)
    return Recipe(config, backbone, objective, optimizer, augmentation, mesh)
