"""One of n processes on loopback: its rows of each global batch and the losses it sees (see test_stream.py)."""

import json
import sys
from functools import partial

import jax
from jax.experimental import multihost_utils


def main(process: int, n_processes: int, port: int, dataset: str, out: str) -> None:
    jax.config.update("jax_num_cpu_devices", 4 // n_processes)
    if n_processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", n_processes, process)

    from configs.demo import get_config
    from learner_jax import augment, backbones, objectives
    from learner_jax.data import cohort as cohorts
    from learner_jax.data.device import on_device
    from learner_jax.data.pipeline import open_reader, training_batches
    from learner_jax.data.samplers.shuffled import Shuffled
    from learner_jax.mesh import make_mesh
    from learner_jax.optim import make_optimizer
    from learner_jax.state import init_state
    from learner_jax.step import Recipe, train_step

    config = get_config()
    config.data.dir, config.data.frames, config.data.size = dataset, 4, 32
    mesh, cohort = make_mesh(), cohorts.load(config.data)
    reader, sampler = open_reader(cohort, config.data), Shuffled(cohort.labeled_train, 16)
    local = [batch.row.tolist() for batch in training_batches(reader, sampler, 0, 0, 3, mesh)]

    parts = (
        backbones.create("tsm_resnet18-test"),
        objectives.create(config.objective, mesh, len(cohort.patients)),
        make_optimizer(config.optim, 3),
    )
    state = init_state(0, config.optim.learning_rate, *parts, reader.spec(16), mesh)
    augmentation = augment.for_cohort(config, cohort.meta, cohort.views)
    update = jax.jit(partial(train_step, Recipe(config, *parts, augmentation, mesh)))
    whole, losses = [], []
    for batch in on_device(training_batches(reader, sampler, 0, 0, 3, mesh), mesh):
        whole.append(multihost_utils.process_allgather(batch.row, tiled=True).tolist())
        state, metrics = update(state, batch)
        losses.append(float(metrics["loss"]))
    with open(out, "w") as file:
        json.dump({"local": local, "global": whole, "losses": losses}, file)


if __name__ == "__main__":
    from absl import flags

    flags.FLAGS.mark_as_parsed()
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
