"""What augmentation adds to a step of TSM-ResNet-18, and which operation takes it.

    python -m benchmarks.augment --quick

Times the whole jitted train step with and without augmentation, and the augmentation alone, with all operations and
with one at a time; the arms take turns. Prints medians. The share is the median, over rounds, of augmentation alone
over the bare step of the same round: the difference of two steps that take seconds drowns in their scatter on a shared
machine.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.turns import in_turns
from learner_jax import backbones, objectives
from learner_jax.augment import Augmentation
from learner_jax.batch import Batch, BatchSpec
from learner_jax.config import AugmentConfig, Config
from learner_jax.mesh import make_mesh
from learner_jax.optim import make_optimizer
from learner_jax.state import init_state
from learner_jax.step import Recipe, train_step

OFF = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})
OPERATIONS = {
    "ultrasound": (("shift", "zoom", "rotate"), ("gain", "contrast", "tgc"), ("speckle",), ("drop_frames",)),
    "mri": (("shift", "zoom", "rotate", "tilt"), ("bias",), ("gamma",), ("noise",), ("ghost",)),
}


def make_batch(spec: BatchSpec) -> Batch:
    """Noise inside a disc, so that there is a background to leave alone."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[-1 : 1 : spec.h * 1j, -1 : 1 : spec.w * 1j]
    disc = (y**2 + x**2 < 0.9)[..., None]
    n = spec.b
    return Batch(
        scan=rng.integers(20, 256, spec.shape, dtype=np.uint8) * disc,
        scale=np.full(n, 1 / 255, np.float32),
        offset=np.zeros(n, np.float32),
        score=rng.normal(size=n).astype(np.float32),
        patient=np.arange(n, dtype=np.int32),
        visit=np.zeros(n, np.int32),
        view=np.zeros(n, np.int32),
        site=np.zeros(n, np.int32),
        row=np.arange(n, dtype=np.int32),
        time_days=np.zeros(n, np.float32),
        mask=np.ones(n, bool),
    )


def stepper(batch: Batch, spec: BatchSpec, augmentation: Augmentation) -> Callable[[], None]:
    """A call that runs one compiled train step and waits for it."""
    config, mesh = Config(steps=1000, augment=augmentation.config), make_mesh()
    recipe = Recipe(
        config,
        backbones.create("tsm_resnet18"),
        objectives.create(config.objective, mesh, spec.b),
        make_optimizer(config.optim, config.steps),
        augmentation,
        mesh,
    )
    state = [init_state(0, 1e-3, recipe.backbone, recipe.objective, recipe.optimizer, spec, mesh)]
    update = jax.jit(partial(train_step, recipe), donate_argnums=0)

    def step() -> None:
        state[0] = jax.block_until_ready(update(state[0], batch)[0])

    return step


def alone(batch: Batch, augmentation: Augmentation) -> Callable[[], None]:
    """A call that augments the batch and waits for it."""
    scan = jnp.asarray(batch.scan, jnp.float32) / 255
    augment = jax.jit(lambda scan, row, view, key: augmentation(scan, row, view, key))
    return lambda: jax.block_until_ready(augment(scan, batch.row, batch.view, jax.random.key(0)))


def milliseconds(call: Callable[[], None]) -> float:
    """Median of as many calls as fit into half a second: the first short call after a step pays for the caches that the
    step has filled."""
    taken = []
    while sum(taken) < 500:
        start = time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def compare(modality: str, spec: BatchSpec, rounds: int) -> dict[str, float]:
    """Print a table; return the headline figures."""
    batch = make_batch(spec)
    config = dataclasses.replace(AugmentConfig(), flip=modality == "mri")
    on = Augmentation(config, modality, (0,) if config.flip else ())
    arms = {
        "step without": stepper(batch, spec, Augmentation(OFF, modality)),
        "step with": stepper(batch, spec, on),
        "augmentation": alone(batch, on),
    }
    for names in OPERATIONS[modality]:
        strengths = {name: getattr(config, name) or 0.2 for name in names}
        arms[", ".join(names)] = alone(batch, Augmentation(dataclasses.replace(OFF, **strengths), modality))
    times = in_turns({name: partial(milliseconds, call) for name, call in arms.items()}, rounds)
    bare = times["step without"]
    print(
        f"\n{modality}: batch {spec.b} of {spec.t}x{spec.h}x{spec.w}, {rounds} rounds, {jax.devices()[0].device_kind}"
    )
    share = {}
    for name, taken in times.items():
        share[name] = statistics.median(mine / step for mine, step in zip(taken, bare, strict=True))
        print(f"{name:28}{statistics.median(taken):9.1f} ms {100 * share[name]:8.2f} % of the bare step")
    return {
        "step_ms": statistics.median(bare),
        "augmentation_ms": statistics.median(times["augmentation"]),
        "augmentation_over_step": share["augmentation"],
        "step_with_over_without": share["step with"],
        "clips_per_s_with": 1e3 * spec.b / statistics.median(times["step with"]),
    }


def main() -> None:
    """Time both modalities, print two tables and one line of JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.augment", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="fewer rounds, about 2 minutes")
    quick = parser.parse_args().quick
    rounds = 4 if quick else 15
    result = {
        "ultrasound": compare("ultrasound", BatchSpec(8, 16, 112, 112, 1), rounds),
        # 96 slices of 112x96 padded to a square; a laptop with 8 GiB has room for two such volumes
        "mri": compare("mri", BatchSpec(2, 96, 112, 112, 1), rounds),
    }
    print(json.dumps({"benchmark": "augment", "quick": quick, **result}))


if __name__ == "__main__":
    main()
