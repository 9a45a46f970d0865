"""A whole run: put state, stream and step together, and run the loop."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from learner_jax.assembly import assemble
from learner_jax.batch import Batch
from learner_jax.checkpoint import Checkpoints
from learner_jax.compiled_step import compiled
from learner_jax.config import Config
from learner_jax.data.cohort import Cohort
from learner_jax.data.device import training_stream
from learner_jax.distributed import agreed, first
from learner_jax.evaluators import places, seen
from learner_jax.evaluators.api import Evaluator
from learner_jax.lock import only_trainer
from learner_jax.mesh import in_words
from learner_jax.nonfinite import NonFinite
from learner_jax.objectives.api import Metrics
from learner_jax.placement import describe
from learner_jax.preemption import Preempted, Preemption
from learner_jax.report import environment
from learner_jax.report.bookkeeper import keeping
from learner_jax.report.ledger import Ledger
from learner_jax.report.profiler import traced
from learner_jax.report.reporter import reporting
from learner_jax.report.speed import efficiency
from learner_jax.resume import metadata, resume
from learner_jax.start import initial
from learner_jax.state import TrainState
from learner_jax.watchdog import Watchdog
from learner_jax.work import working_in
from tfds_builders.whole import write_whole


@dataclasses.dataclass(frozen=True)
class Action:
    """Something to do after a step.

    Attributes:
      run: called with the step, the state and the step's metrics.
      every: steps between calls; 0: only after the last step, which always counts as due.
      at_preemption: whether to run when the run is stopped early, due or not; None: only if it is due.
    """

    run: Callable[[int, TrainState, Metrics], None]
    every: int
    at_preemption: bool | None = None

    def due(self, step: int, last: int, stopping: bool) -> bool:
        """Whether to run after ``step`` of ``last``; ``stopping``: the run ends here."""
        if stopping and step < last and self.at_preemption is not None:
            return self.at_preemption
        return step == last or (self.every > 0 and step % self.every == 0)


def loop(
    state: TrainState,
    batches: Iterator[Batch],
    update: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    actions: list[Action],
    last: int,
    preempted: Callable[[int], bool],
) -> TrainState:
    """Update the state with each batch, running the actions that are due after it.

    Raises:
      Preempted: ``preempted(step)`` was True before the last step; the actions with ``at_preemption`` have run.
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


def train(
    config: Config,
    workdir: Path,
    preempted: Callable[[int], bool] | None = None,
    allow_changed: bool = False,
    began: float | None = None,
) -> None:
    """Train to ``config.steps``, resuming from the newest intact checkpoint in ``workdir``.

    Args:
      config: every knob of the run.
      workdir: folder of this run alone, as made by ``bucket.place``. Gets config.json, split.json, environment.json,
        metrics.jsonl, goodput.json, checkpoints/ and eval/.
      preempted: whether to stop after a given step; None: stop when SIGTERM arrives.
      allow_changed: resume even if the checkpoint was trained with another recipe; later checkpoints record the change.
      began: ``time.perf_counter()`` at the start of the process; None: now.

    Raises:
      InputError: the run is not possible with this config, dataset or workdir.
      Preempted: stopped as asked, after committing a checkpoint.
    """
    ledger = Ledger(began)
    parts = assemble(config)
    cohort, sampler, reader, recipe, mesh = parts.cohort, parts.sampler, parts.reader, parts.recipe, parts.mesh
    preemption = Preemption()
    evaluator = Evaluator(config, cohort, reader, recipe.backbone, mesh, preemption.between)
    layers = recipe.backbone.layers
    reached = efficiency(layers, parts.spec, recipe.objective.n_augmentations, mesh.devices.flat, config.optim.freeze)

    with (
        preemption,
        only_trainer(workdir),
        working_in(workdir) as work,
        contextlib.ExitStack() as afterwards,  # closes the trackers last, so none delays the last checkpoint's commit
        keeping(work.local, ledger, config.batch_size, reached) as books,
        ledger.leaving("checkpoint", Checkpoints(workdir, config.checkpoint.keep)) as checkpoints,
        Watchdog() as watchdog,
    ):
        resumed = resume(checkpoints, parts, allow_changed)
        state, changed = resumed or (parts.state(initial(parts, work.local)), [])
        start = int(state.step)
        if first():
            for line in describe(state.params, mesh):
                print(line)
            work.set_aside(places.later(work.local, start))  # scores of steps that are trained anew
            if start == config.steps and evaluator.has_scored(work.local, start):
                print(
                    f"{workdir} is finished: step {start} of {config.steps}; learner_jax.evaluate scores it in another "
                    "way"
                )
            else:
                _write_inputs(work.local, config, cohort, goes_on=resumed is not None)
            environment.note(work.local, mesh.devices.ravel().tolist(), jax.process_count())
        with reporting(config, work.local, start, books, afterwards) as reporter:

            def rows(step: int) -> np.ndarray:
                return sampler.rows(config.seed, step - 1)

            nonfinite = NonFinite(config, rows, int(state.skipped), reporter.say)

            def save(step: int, state: TrainState, metrics: Metrics) -> None:
                nonfinite.flush()
                reporter.flush()  # if this checkpoint survives, so must the metrics of its step
                with ledger.on("checkpoint"):
                    work.push()
                    checkpoints.save(state, metadata(parts, changed))
                reporter.saved()

            def evaluate(step: int, state: TrainState, metrics: Metrics) -> None:
                save(step, state, metrics)  # an evaluation may outlast the grace period of a preemption
                with ledger.on("evaluation"):
                    with preemption.at_once():
                        found = evaluator.evaluate_state(state)
                    evaluator.write(found, work.local, step)
                    work.push()
                reporter.evaluated(step)

            actions = [
                Action(watchdog, every=1),
                Action(nonfinite, every=1),
                Action(reporter, every=1),
                Action(save, config.checkpoint.every, at_preemption=True),
                scoring := Action(evaluate, config.eval.every, at_preemption=False),
            ]
            owed = start > 0 and scoring.due(start, config.steps, stopping=False)
            if owed and not agreed(evaluator.has_scored(work.local, start)):  # the run stopped before writing them
                evaluate(start, state, {})
            if start < config.steps:
                if first():
                    print(f"{in_words(mesh)}; compiling the step of {config.backbone.name}", flush=True)
                with ledger.on("compile", then="start"):
                    update = compiled(recipe, state, reader.shapes(config.batch_size, mesh))
                batches = training_stream(reader, sampler, config.seed, start, config.steps, mesh)
                with traced(update, config, work.local, start, ledger) as update, ledger.on("steps", then="other"):
                    stop = preempted or preemption.requested
                    state = loop(state, ledger.waited(batches), update, actions, config.steps, stop)
            reader.damage.tell()


def _write_inputs(workdir: Path, config: Config, cohort: Cohort, goes_on: bool) -> None:
    seen.write(workdir, cohort, config.init_from, goes_on)  # before the config: where that is, a split must be
    write_whole(workdir / "config.json", json.dumps(dataclasses.asdict(config), indent=1) + "\n")
