"""What the trainer prepares from a config before its first step, for benchmarks of the loop."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from learner_jax.assembly import Parts, assemble
from learner_jax.batch import Batch
from learner_jax.config import Config, DataConfig
from learner_jax.data.device import training_stream
from learner_jax.data.pipeline import open_reader
from learner_jax.state import TrainState
from learner_jax.train import compiled


@dataclasses.dataclass
class Prepared:
    """A run before its first step. ``update`` donates the state, so whoever calls it stores the new one here."""

    parts: Parts
    state: TrainState
    update: Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]

    def stream(self, stop: int, **data: Any):
        """Batches of steps 0 to ``stop - 1``, with fields of ``config.data`` replaced by ``data``."""
        parts = self.parts
        reader = open_reader(parts.cohort, dataclasses.replace(parts.config.data, **data))
        return training_stream(reader, parts.sampler, parts.config.seed, 0, stop, parts.mesh)


def prepare(config: Config, start: Any = None) -> Prepared:
    """Prepare a run as :func:`learner_jax.train.train` does; ``start``: the backbone's variables, if not random."""
    parts = assemble(config)
    state = parts.state(start)
    return Prepared(parts, state, compiled(parts.recipe, state, parts.reader.shapes(config.batch_size, parts.mesh)))


def synthetic(folder: Path, patients: int, frames: int, size: int) -> Path:
    """Build a synthetic cohort with 3 visits of 2 views for each patient, unless it is there already."""
    out = folder / f"lus-{patients}-{frames}x{size}"
    if not (out / "COMPLETE").exists():
        command = [sys.executable, "-m", "tfds_builders.build", "synthetic_lus", "--data_dir", str(out)]
        knobs = {"n_patients": patients, "visits": 3, "views": 2, "frames": frames, "size": size}
        command += [text for name, value in knobs.items() for text in (f"--{name}", str(value))]
        key = {"LEARNER_KEY_FILE": str(folder / "identity.key")}
        subprocess.run(command, check=True, env=os.environ | key, stdout=subprocess.DEVNULL)
    return out


def data_of(folder: Path, frames: int, size: int) -> DataConfig:
    """The config's fields for a synthetic cohort."""
    return DataConfig(dir=str(folder), score="sf_ratio", frames=frames, size=size)
