"""What the trainer makes of a config before its first step, for benchmarks of the loop."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from learner_jax import augment, backbones, objectives
from learner_jax.batch import Batch
from learner_jax.config import Config, DataConfig
from learner_jax.data import cohort as cohorts
from learner_jax.data import samplers
from learner_jax.data.cohort import Cohort
from learner_jax.data.device import training_stream
from learner_jax.data.pipeline import Reader, open_reader
from learner_jax.data.samplers import Sampler
from learner_jax.mesh import make_mesh
from learner_jax.optim import make_optimizer
from learner_jax.state import TrainState, init_state
from learner_jax.step import Recipe
from learner_jax.train import compiled


@dataclasses.dataclass
class Prepared:
    """A run that is about to begin. ``update`` takes the state over, so whoever steps puts the new one back."""

    config: Config
    cohort: Cohort
    sampler: Sampler
    reader: Reader
    recipe: Recipe
    mesh: Mesh
    state: TrainState
    update: Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]

    def stream(self, stop: int, **data: Any):
        """Batches of steps 0 to ``stop`` with other fields of ``config.data``."""
        reader = open_reader(self.cohort, dataclasses.replace(self.config.data, **data))
        return training_stream(reader, self.sampler, self.config.seed, 0, stop, self.mesh)


def prepare(config: Config, start: Any = None) -> Prepared:
    """As :func:`learner_jax.train.train` does; ``start``: variables of the backbone, in place of random ones."""
    mesh, cohort = make_mesh(config=config.mesh), cohorts.load(config.data)
    reader = open_reader(cohort, config.data)
    recipe = Recipe(
        config,
        backbones.create(config.backbone.name, config.backbone.norm),
        objectives.create(config.objective, mesh, len(cohort.patients)),
        make_optimizer(config.optim, config.steps, {}),
        augment.for_cohort(config, cohort.meta, cohort.views),
        mesh,
    )
    parts = (recipe.backbone, recipe.objective, recipe.optimizer)
    state = init_state(config.seed, *parts, reader.spec(config.batch_size), mesh, start)
    update = compiled(recipe, state, reader.shapes(config.batch_size, mesh))
    return Prepared(config, cohort, samplers.create(config, cohort), reader, recipe, mesh, state, update)


def synthetic(folder: Path, patients: int, frames: int, size: int) -> Path:
    """A built synthetic cohort with 3 visits of 2 views for each patient; kept where it is there already."""
    out = folder / f"lus-{patients}-{frames}x{size}"
    if not (out / "COMPLETE").exists():
        command = [sys.executable, "-m", "tfds_builders.build", "synthetic_lus", "--data_dir", str(out)]
        knobs = {"n_patients": patients, "visits": 3, "views": 2, "frames": frames, "size": size}
        command += [text for name, value in knobs.items() for text in (f"--{name}", str(value))]
        key = {"LEARNER_KEY_FILE": str(folder / "identity.key")}
        subprocess.run(command, check=True, env=os.environ | key, stdout=subprocess.DEVNULL)
    return out


def data_of(folder: Path, frames: int, size: int) -> DataConfig:
    """Of a synthetic cohort."""
    return DataConfig(dir=str(folder), score="sf_ratio", frames=frames, size=size)
