"""Score the checkpoints of a run, or of every run in a folder: ``python -m learner_jax.evaluate --workdir runs/demo``.

Scores the newest checkpoint of each run unless it has scores already, on whatever device this process has, along with
the label-free floors. ``--follow`` scores each new checkpoint of a running job until the job ends. Fields that concern
scoring are set as in training: ``--config.eval.pairs=scans``. ``--config.eval.patients=val`` scores the validation
patients instead, to choose a recipe, and writes to ``validation/`` instead of ``eval/``; no test scan is opened.
``--config.data.dir=…`` says where the dataset is now, or names another one to score on; either way, patients whom the
run was trained on are refused.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from learner_jax import command
from learner_jax.bucket import local
from learner_jax.checkpoint import DamagedCheckpoint
from learner_jax.config import Config
from learner_jax.evaluators import arms, artifacts, places
from learner_jax.evaluators.run import Run
from learner_jax.report.folders import each_once
from learner_jax.report.health import held
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded
from tfds_builders.wording import plural

_POLL_SECONDS = 2.0


def find(folder: Path) -> list[Path]:
    """Folders of the runs in ``folder``: itself, and those one level below.

    Raises:
      InputError: there are none.
    """
    files = [folder / "config.json", *folder.glob("*/config.json")]
    found = each_once(path.parent for path in files if path.is_file())
    if not found:
        raise InputError(
            f"{folder} is not a run and has none in it: there is no config.json in it or one level below. "
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
    """Score the newest checkpoint of each run in ``folder`` and the floors; average arms over their seeds.

    A run that cannot be scored is left out of the arms, and the others are scored.

    Args:
      folder: a run or a folder of runs.
      overrides: ``--config.section.field=value`` that concern scoring alone.
      every: score all checkpoints, not only the newest.
      again: score also those that have scores.
      compare: an evaluated run, here or elsewhere, to test every arm against.
      runs: names of the runs in the folder to score; empty: all.

    Raises:
      InputError: there is no such run, or a run cannot be scored or compared; in a folder the others are scored first.
    """
    workdirs = find(folder)
    if missing := set(runs) - {workdir.name for workdir in workdirs}:
        raise InputError(f"--runs names {', '.join(sorted(missing))}, but {folder} has no such run")
    workdirs = [workdir for workdir in workdirs if not runs or workdir.name in runs]
    scored: list[Run] = []
    floors: dict[str, tuple] = {}
    for workdir in workdirs:
        try:
            run = Run(workdir, overrides)
            _score(run, floors, every=every, again=again, compare=compare)
        except InputError as fault:
            if len(workdirs) == 1:
                raise
            print(f"{workdir} is left out: {fault}", file=sys.stderr)
        else:
            scored.append(run)
    if tested := [run for run in scored if run.config.eval.patients == "test"]:
        _summarise(folder, [run.workdir for run in tested], tested[-1].config, compare)
    if left_out := len(workdirs) - len(scored):
        raise InputError(f"{left_out} of {plural(len(workdirs), 'run')} in {folder} could not be scored, as said above")


def _score(run: Run, floors: dict[str, tuple], *, every: bool, again: bool, compare: Path | None) -> None:
    """Score checkpoints of a run, and its floors unless it has them; ``floors`` collects those that runs share."""
    if compare is not None and run.config.eval.patients != "test":
        raise InputError(
            f"--compare tests scores of test patients, and {run.workdir} is scored on those of validation: leave it "
            "out, or set --config.eval.patients=test"
        )
    steps = run.steps()
    if not steps:
        print(f"{run.workdir}: no checkpoint yet")
    for step in steps if every else steps[-1:]:
        if again or not run.evaluator.has_scored(run.workdir, step):
            run.score(step)
        print(run.line(step))
    if run.config.eval.patients == "test":
        _write_floors(run, floors, again)


def _write_floors(run: Run, known: dict[str, tuple], again: bool) -> None:
    """Write a run's floors unless it has them; ``known`` collects those that runs share, by their key."""
    key = run.floors_key()
    if artifacts.floors_key(run.workdir) == key and not again:
        return
    if key not in known:
        print(f"floors of {run.config.data.dir}: majority, first score, time, view, pixels, an untrained encoder …")
        known[key] = run.evaluator.floors()
    artifacts.write_floors(*known[key], key, run.workdir)


def _summarise(folder: Path, workdirs: list[Path], config: Config, compare: Path | None) -> None:
    """Average arms over their seeds and test them against ``compare``."""
    grouped = arms.group(workdirs)
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
    """Score each new checkpoint of a job, waiting for the job to start, until that of its last step is scored.

    If no trainer works there, it says so once and goes on waiting.
    """
    _wait_for_run(workdir)
    run, trained = Run(workdir, overrides), True
    while True:
        before, trained = trained, held(workdir)  # looked at first: what it committed before it ended is seen below
        for step in run.steps():
            if not run.evaluator.has_scored(workdir, step) and score_if_kept(run, step):
                print(run.line(step), flush=True)
            if step == run.config.steps:
                return
        if before and not trained:
            print(f"no trainer is running in {workdir} now; waiting for its next checkpoints", flush=True)
        time.sleep(_POLL_SECONDS)


def _wait_for_run(workdir: Path) -> None:
    def started() -> bool:
        return (workdir / "config.json").is_file() and (workdir / "checkpoints").is_dir()

    if not started():
        print(f"waiting for a run in {workdir}", flush=True)
    while not started():
        time.sleep(_POLL_SECONDS)


def score_if_kept(run: Run, step: int) -> bool:
    """Score a step of a running job; False if the job has removed its checkpoint, as it may at any moment."""
    try:
        run.score(step)
    except Exception as fault:  # Orbax raises various exceptions when a file is gone
        gone = isinstance(fault, DamagedCheckpoint) or not isinstance(fault, InputError)
        if not gone or step in run.steps():
            raise
        return False
    return True


def parser() -> argparse.ArgumentParser:
    """The flags, without the fields of the config."""
    module, kind = "learner_jax.evaluate", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("--workdir", required=True, help="a run, or a folder of runs")
    parser.add_argument("--all", action="store_true", help="score every checkpoint, not only the newest")
    parser.add_argument("--again", action="store_true", help="score also what has scores")
    parser.add_argument("--follow", action="store_true", help="score each new checkpoint of a running job")
    parser.add_argument(
        "--compare", type=Path, metavar="RUN", help="an evaluated run to test each arm against; writes its rows too"
    )
    parser.add_argument("--runs", default="", help="comma-separated names of the runs in the folder to score")
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
    # eval.patients alone is no reason to score again: scores of other patients are stored elsewhere
    again = known.again or any(not field.startswith("--config.eval.patients=") for field in fields)
    runs = [name for name in known.runs.split(",") if name]
    evaluate(workdir, fields, every=known.all, again=again, compare=known.compare, runs=runs)


if __name__ == "__main__":
    sys.exit(main())
