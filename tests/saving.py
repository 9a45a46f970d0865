"""Saves checkpoints of known content one after the other until it is killed: WORKDIR (see test_kills.py)."""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from learner_jax.checkpoint import Checkpoints
from learner_jax.state import TrainState


def state(step: int) -> TrainState:
    """Some 4 MiB, other ones for each step."""
    rng = np.random.default_rng(step)
    kernels = {str(i): jnp.asarray(rng.normal(size=(256, 256)), jnp.float32) for i in range(16)}
    step = jnp.asarray(step, jnp.int32)
    params = {"backbone": kernels, "objective": {}}
    return TrainState(step, params, {}, {}, (), {}, step * 0, jnp.uint32(1), jnp.uint32(0), jnp.float32(0.5))


def main(workdir: Path) -> None:
    with Checkpoints(workdir, 3) as checkpoints:
        for step in range((checkpoints.newest() or 0) + 1, 10**6):
            checkpoints.save(state(step), {})
            print(step, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
