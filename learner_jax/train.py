"""The run: state, stream and step put together, and the loop."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax

from learner_jax import augment, backbones, objectives
from learner_jax.backbones import weights
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.batch import Batch
from learner_jax.bucket import working_in
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import Config, check, refuse_changes
from learner_jax.data import cohort as cohorts
from learner_jax.data import samplers
from learner_jax.data.cohort import Cohort
from learner_jax.data.device import on_device
from learner_jax.data.pipeline import open_reader, training_batches
from learner_jax.distributed import Pulse, agreed, first, meet
from learner_jax.encoder import check_chunk
from learner_jax.evaluators import seen
from learner_jax.evaluators.api import Evaluator
from learner_jax.lock import only_trainer
from learner_jax.mesh import check_batch_size, make_mesh
from learner_jax.nonfinite import NonFinite
from learner_jax.objectives.api import Metrics
from learner_jax.optim import check_freeze, make_optimizer
from learner_jax.placement import describe, placed_shapes
from learner_jax.preemption import Preempted, Preemption
from learner_jax.report.reporter import reporting
from learner_jax.state import TrainState, init_state
from learner_jax.step import Recipe, train_step
from learner_jax.watchdog import Watchdog
from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class Action:
    """Something done after a step: every so many steps (0: never in between) and always after the last one."""

    run: Callable[[int, TrainState, Metrics], None]
    every: int
    at_preemption: bool = False

    def due(self, step: int, last: int, stopping: bool) -> bool:
        return step == last or (self.every > 0 and step % self.every == 0) or (stopping and self.at_preemption)


def loop(
    state: TrainState,
    batches: Iterator[Batch],
    update: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    actions: list[Action],
    last: int,
    preempted: Callable[[int], bool],
) -> TrainState:
    """Update the state with each batch and do what is due.

    Raises:
      Preempted: ``preempted`` said so before the last step; the actions marked ``at_preemption`` are done.
    """
    for step, batch in enumerate(batches, int(state.step) + 1):
        state, metrics = update(state, batch)
        stopping = preempted(step)
        for action in actions:
            if action.due(step, last, stopping):
                action.run(step, state, metrics)
        if stopping and step < last:
            raise Preempted(f"stopped after step {step} of {last}")
    return state


def train(config: Config, workdir: Path, preempted: Callable[[int], bool] | None = None) -> None:
    """Train to ``config.steps``, going on from the newest whole checkpoint in ``workdir``.

    Args:
      config: every knob.
      workdir: of this run alone: config.json, split.json, metrics.jsonl, checkpoints/, eval/; one of ``bucket.place``.
      preempted: whether to stop after a step; None: when SIGTERM came.

    Raises:
      InputError: the config, the dataset or the workdir does not allow the run.
      Preempted: asked to stop; a checkpoint is committed.
    """
    check(config)
    mesh = make_mesh(config=config.mesh)
    check_batch_size(config.batch_size, mesh, "config.batch_size")
    check_batch_size(config.eval.batch_size, mesh, "config.eval.batch_size")
    cohort = cohorts.load(config.data)
    sampler = samplers.create(config, cohort)
    if sampler.note and first():
        print(sampler.note)
    reader = open_reader(cohort, config.data)
    spec = reader.spec(config.batch_size)
    backbone = backbones.create(config.backbone.name, config.backbone.norm)
    backbone.check(spec)
    check_freeze(config.optim.freeze, backbone.shapes(spec)["params"])
    recipe = Recipe(
        config,
        backbone,
        objectives.create(config.objective, mesh, len(cohort.patients)),
        make_optimizer(config.optim, config.steps, backbone.distances(spec) if config.optim.layer_decay < 1 else {}),
        augment.for_cohort(config, cohort.meta, cohort.views),
        mesh,
    )
    check_chunk(config.train.grad_cache_chunk, config.batch_size * recipe.objective.n_augmentations, mesh)
    weights.check_licence(config.backbone)
    evaluator = Evaluator(config, cohort, reader, recipe.backbone, mesh)
    build = partial(init_state, config.seed, recipe.backbone, recipe.objective, recipe.optimizer, spec, mesh)

    with (
        Pulse(),
        Preemption() as preemption,
        only_trainer(workdir),
        working_in(workdir) as work,
        Checkpoints(workdir, config.checkpoint.keep) as checkpoints,
        Watchdog() as watchdog,
    ):
        state = _resume(checkpoints, config, cohort, placed_shapes(jax.eval_shape(build), mesh))
        state = state or build(weights.load(config, recipe.backbone, spec))
        start = int(state.step)
        for line in describe(state.params, mesh) if first() else ():
            print(line)
        if start == config.steps and first():
            print(f"{workdir} is finished: step {start} of {config.steps}")
        _write_config(work.local, config, cohort)
        batches = on_device(training_batches(reader, sampler, config.seed, start, config.steps, mesh), mesh)
        with reporting(config, work.local, start) as reporter:

            def save(step: int, state: TrainState, metrics: Metrics) -> None:
                reporter.flush()  # the line of this step must not be lost where its checkpoint is not
                work.push()
                checkpoints.save(state, _meta(config, cohort))

            def score(step: int, state: TrainState, metrics: Metrics) -> None:
                evaluator.score_state(state, work.local)
                work.push()

            rows = lambda step: sampler.rows(config.seed, step - 1)  # noqa: E731
            actions = [
                Action(watchdog, every=1),
                Action(NonFinite(config, rows, int(state.skipped), reporter.say), every=1),
                Action(reporter, every=1),
                Action(save, config.checkpoint.every, at_preemption=True),
                Action(score, config.eval.every),
            ]
            if start < config.steps:
                update = compiled(recipe, state, reader.shapes(config.batch_size, mesh))
                state = loop(state, batches, update, actions, config.steps, preempted or preemption.requested)
        if not agreed(
            evaluator.has_scored(work.local, config.steps)
        ):  # killed between the last checkpoint and its scores
            evaluator.score_state(state, work.local)


def compiled(recipe: Recipe, state: TrainState, batch: Batch) -> Callable[[TrainState, Batch], tuple]:
    """The update as a program for arrays like these, ready on all processes before one of them runs it.

    A collective on a CPU waits 30 s for the others at its first use, and compiling may take one process longer.
    """
    update = jax.jit(partial(train_step, recipe), donate_argnums=0)
    program = update.lower(state, batch).compile(compiler_options())
    meet("compiled")
    return program


def _resume(checkpoints: Checkpoints, config: Config, cohort: Cohort, shapes: TrainState) -> TrainState | None:
    step = checkpoints.newest()
    if step is None:
        return None
    meta = checkpoints.meta(step)
    refuse_changes(meta["config"], config)  # before the arrays: another backbone's would look like damage
    if meta["fingerprints"] != cohort.fingerprints:
        changed = [name for name, mark in cohort.fingerprints.items() if meta["fingerprints"].get(name) != mark]
        raise InputError(
            f"the checkpoints were trained with another {' and '.join(changed).replace('_', ' ')} than "
            f"{config.data.dir} gives now; point --config.data.dir and --config.data.split to the old one, or use a "
            "new --workdir"
        )
    return checkpoints.restore(step, shapes)


def _meta(config: Config, cohort: Cohort) -> dict[str, Any]:
    return {
        "config": dataclasses.asdict(config),
        "fingerprints": cohort.fingerprints,
        "score": {"name": config.data.score, "mean": cohort.score_mean, "std": cohort.score_std},
        "jax": jax.__version__,
    }


def _write_config(workdir: Path, config: Config, cohort: Cohort) -> None:
    if first():
        seen.write(workdir, cohort)  # first: who finds a config finds a split
        beside = workdir / "config.json.new"
        beside.write_text(json.dumps(dataclasses.asdict(config), indent=1) + "\n")
        beside.replace(workdir / "config.json")
