"""Score the checkpoints of a run, or of every run in a folder: ``python -m learner_jax.evaluate --workdir runs/demo``.

Scores the newest checkpoint of each run that has no scores yet, on whatever device this process has, and the label-free
floors beside it. ``--follow`` stays with a running job and scores each new checkpoint until the job ends. Fields that
concern scoring are changed as in training: ``--config.eval.pairs=scans``. ``--config.eval.patients=val`` scores the
validation patients instead, to choose a recipe by, into ``validation/`` instead of ``eval/``; no test scan is opened.
``--config.data.dir=…`` names where the dataset is now, or another one to score on; patients whom the run was trained on
are refused in either.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from learner_jax import backbones, command
from learner_jax.bucket import local
from learner_jax.checkpoint import Checkpoints, DamagedCheckpoint
from learner_jax.config import Config, changes, check, refuse_changes
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import open_reader
from learner_jax.evaluators import arms, artifacts, places, seen
from learner_jax.evaluators.api import Evaluator
from learner_jax.fields import from_dict, override
from learner_jax.mesh import check_batch_size, make_mesh
from learner_jax.placement import placed_shapes
from learner_jax.report.folders import each_once
from learner_jax.report.health import held
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded
from tfds_builders.whole import read_object
from tfds_builders.wording import plural

_POLL_SECONDS = 2.0


class Run:
    """A run on disk, seen by the evaluator alone: its config, its checkpoints and its cohort."""

    def __init__(self, workdir: Path, overrides: Iterable[str] = ()):
        self.workdir = workdir
        stored = read_object(workdir / "config.json", "Copy the run again")
        self.config: Config = from_dict(Config, stored)
        for argument in overrides:
            override(self.config, argument)
        check(self.config)
        refuse_changes(stored, self.config)
        mesh = make_mesh()
        check_batch_size(self.config.eval.batch_size, mesh, "config.eval.batch_size")
        self._cohort = cohorts.load(self.config.data)
        self._trained_split = seen.refuse_seen(workdir, self._cohort)
        reader = open_reader(self._cohort, self.config.data)
        backbone = backbones.create(self.config.backbone.name, self.config.backbone.norm)
        self.evaluator = Evaluator(self.config, self._cohort, reader, backbone, mesh)
        self._abstract = placed_shapes(backbone.shapes(reader.spec(1)), mesh)

    def steps(self) -> list[int]:
        """Steps with a committed checkpoint."""
        with Checkpoints(self.workdir) as checkpoints:
            return checkpoints.steps()

    def score(self, step: int) -> None:
        """Score the checkpoint of a step and write the result.

        Raises:
          InputError: the checkpoint was trained with another split than the run's folder holds, or the run's dataset
            has other records now and no other dataset was named.
        """
        with Checkpoints(self.workdir) as checkpoints:
            self._compare(checkpoints.meta(step), step)
            variables, heads = checkpoints.restore_for_scoring(step, self._abstract)
        self.evaluator.write(self.evaluator.evaluate(variables, heads, step), self.workdir, step)

    def _compare(self, trained_on: dict, step: int) -> None:
        if trained_on["fingerprints"]["split"] != self._trained_split.fingerprint:
            raise InputError(
                f"step {step} of {self.workdir} was trained with another split than its {seen.FILE} holds, so its test "
                "patients may be among those it was trained on; put back the file of that split"
            )
        if changed := [one for one in changes(trained_on["config"], self.config) if one.startswith("data.")]:
            print(
                f"note: step {step} of {self.workdir} was trained with another config (--allow_changed), and is scored "
                f"with that of {self.workdir / 'config.json'}: {'; '.join(changed)}",
                file=sys.stderr,
            )
        if trained_on["fingerprints"]["data"] == self._cohort.fingerprints["data"]:
            return
        folder = self.config.data.dir
        if folder == trained_on["config"]["data"]["dir"]:
            raise InputError(
                f"{self.workdir} was trained with other data than {folder} gives now; name the old dataset, or "
                "another one to score on, by --config.data.dir=…"
            )
        print(
            f"note: {self.workdir} was trained on another dataset than {folder}; read-out and scores of step {step} "
            "are of the latter and replace those of the former",
            file=sys.stderr,
        )

    def floors_key(self) -> str:
        """Runs with the same key have the same floors."""
        config = self.config
        parts = repr((self._cohort.fingerprints, config.data, config.backbone, config.eval))
        return hashlib.sha256(parts.encode()).hexdigest()

    def line(self, step: int) -> str:
        """The headline of a step's scores."""
        scores = artifacts.read_scores(self.workdir, step, self.config.eval.patients)
        return f"{self.workdir} step {step}: {artifacts.in_words(scores)}"


def find(folder: Path) -> list[Path]:
    """The run in ``folder``, or the runs one level below it.

    Raises:
      InputError: when there is none.
    """
    files = [folder / "config.json", *folder.glob("*/config.json")]
    found = each_once(path.parent for path in files if path.is_file())
    if not found:
        raise InputError(
            f"{folder} is no run and holds none: no config.json there or one level below. "
            "Train one: python -m learner_jax.main --config configs/demo.py --workdir …"
        )
    return found


def evaluate(
    folder: Path,
    overrides: Iterable[str] = (),
    *,
    every: bool = False,
    again: bool = False,
    compare: Path | None = None,
    runs: Sequence[str] = (),
) -> None:
    """Score the newest checkpoint (``every``: all of them) of each run in ``folder``, the floors, and arms of seeds.

    A run that cannot be scored is left out of the arms, and the others are scored.

    Args:
      folder: a run or a folder of runs.
      overrides: ``--config.section.field=value`` that concern scoring alone.
      every: all checkpoints instead of the newest.
      again: also those that have scores.
      compare: an evaluated run, here or elsewhere, that every arm is tested against.
      runs: names of those in the folder that are meant; none: all.

    Raises:
      InputError: a run could not be scored; in a folder once all others are.
    """
    found = find(folder)
    if missing := set(runs) - {run.name for run in found}:
        raise InputError(f"--runs names {', '.join(sorted(missing))}, of which {folder} holds no run")
    found = [run for run in found if not runs or run.name in runs]
    scored: list[Run] = []
    floors: dict[str, tuple] = {}
    for workdir in found:
        try:
            run = Run(workdir, overrides)
            _score(run, floors, every=every, again=again, compare=compare)
        except InputError as fault:
            if len(found) == 1:
                raise
            print(f"{workdir} is left out: {fault}", file=sys.stderr)
        else:
            scored.append(run)
    if scored and scored[-1].config.eval.patients == "test":
        _summarise(folder, [run.workdir for run in scored], scored[-1].config, compare)
    if left_out := len(found) - len(scored):
        raise InputError(f"{left_out} of {plural(len(found), 'run')} in {folder} could not be scored, as said above")


def _score(run: Run, floors: dict[str, tuple], *, every: bool, again: bool, compare: Path | None) -> None:
    """Score a run and its floors; ``floors`` keeps those of runs before, by what they were computed from."""
    workdir = run.workdir
    if compare is not None and run.config.eval.patients != "test":
        raise InputError(
            f"--compare tests scores of test patients, and {workdir} is scored on those of validation: leave it "
            "out, or set --config.eval.patients=test"
        )
    steps = run.steps()
    if not steps:
        print(f"{workdir}: no checkpoint yet")
    for step in steps if every else steps[-1:]:
        if again or not run.evaluator.has_scored(workdir, step):
            run.score(step)
        print(run.line(step))
    key = run.floors_key()
    if run.config.eval.patients != "test" or (artifacts.floors_key(workdir) == key and not again):
        return
    if key not in floors:
        print(f"floors of {run.config.data.dir}: majority, first score, time, view, pixels, an untrained encoder …")
        floors[key] = run.evaluator.floors()
    artifacts.write_floors(*floors[key], key, workdir)


def _summarise(folder: Path, found: list[Path], config: Config, compare: Path | None) -> None:
    grouped = arms.group(found)
    averaged = {arm: arm.averaged(config.eval) for arm in grouped if compare is not None or len(arm.runs) > 1}
    for name in arms.write_arms(folder, averaged, config.eval):
        print(f"{name}: the mean over its seeds is in {folder / arms.ARMS_FILE}")
    if compare is None:
        return
    if places.newest(compare) is None:
        raise InputError(
            f"--compare {compare} has no evaluation. Score it first: python -m learner_jax.evaluate --workdir {compare}"
        )
    inside = [arm for arm in grouped if compare.resolve() in [run.resolve() for run in arm.runs]]
    (reference,) = inside or arms.group([compare])
    print(*arms.told(arms.write_comparison(folder, averaged, reference, config.eval)), sep="\n")


def follow(workdir: Path, overrides: Iterable[str] = ()) -> None:
    """Score each new checkpoint of a running job until that of its last step is scored.

    While no trainer works there it goes on waiting, and says so once.
    """
    there = lambda: (workdir / "config.json").is_file() and (workdir / "checkpoints").is_dir()  # noqa: E731
    if not there():
        print(f"waiting for a run in {workdir}", flush=True)
    while not there():
        time.sleep(_POLL_SECONDS)
    run, trained = Run(workdir, overrides), True
    while True:
        before, trained = trained, held(workdir)  # looked at first: what it committed before it ended is seen below
        for step in run.steps():
            if not run.evaluator.has_scored(workdir, step) and score_if_kept(run, step):
                print(run.line(step), flush=True)
            if step == run.config.steps:
                return
        if before and not trained:
            print(f"no trainer works in {workdir} now; its next checkpoints are waited for", flush=True)
        time.sleep(_POLL_SECONDS)


def score_if_kept(run: Run, step: int) -> bool:
    """Score a step of a running job, which may remove old checkpoints at any moment; False when it was removed."""
    try:
        run.score(step)
    except Exception as fault:  # orbax has no one name for a file that is gone
        gone = isinstance(fault, DamagedCheckpoint) or not isinstance(fault, InputError)
        if not gone or step in run.steps():
            raise
        return False
    return True


def parser() -> argparse.ArgumentParser:
    """The flags, but for fields of the config."""
    module, kind = "learner_jax.evaluate", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("--workdir", required=True, help="a run, or a folder of runs")
    parser.add_argument("--all", action="store_true", help="score every checkpoint, not only the newest")
    parser.add_argument("--again", action="store_true", help="score also what has scores")
    parser.add_argument(
        "--follow", action="store_true", help="score each new checkpoint of one running job until it ends"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="RUN",
        help="an evaluated run that each arm is tested against; writes its rows too",
    )
    parser.add_argument(
        "--runs", default="", help="names of the runs in the folder that are meant, with commas between"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return command.run(
        parser(), arguments, _do, stopped="what was scored is kept, and the same command goes on with the rest"
    )


def _do(known: argparse.Namespace, fields: list[str]) -> None:
    workdir = local(known.workdir)
    if known.follow:
        for name in ("all", "again", "compare", "runs"):
            if getattr(known, name):
                raise InputError(
                    f"--{name} is not for --follow, which scores each new checkpoint of one run; leave it out"
                )
        follow(workdir, fields)
        return
    # who is scored is no change: their scores lie elsewhere
    again = known.again or any(not field.startswith("--config.eval.patients=") for field in fields)
    runs = [name for name in known.runs.split(",") if name]
    evaluate(workdir, fields, every=known.all, again=again, compare=known.compare, runs=runs)


if __name__ == "__main__":
    sys.exit(main())
