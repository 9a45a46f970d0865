"""Compare at scale: a sweep file says what to compare, runs are trained, and the result is a leaderboard.

    python -m learner_jax.sweep run configs/sweeps/demo.py --out runs/sweep --workers 2
    python -m learner_jax.sweep choose configs/sweeps/demo.py --out runs/sweep > chosen.txt
    python -m learner_jax.sweep run configs/sweeps/demo.py --out runs/sweep --final chosen.txt
    python -m learner_jax.sweep board runs/sweep

``run`` builds the datasets, tries the learning rates, trains all seeds and scores only validation patients; test
patients are opened by ``--final``, for the runs that a file names. The same command continues after an interruption:
finished runs are not repeated, killed runs continue from their checkpoints, and failed runs are tried again and listed
at the end. ``--dry_run`` lists the commands and what they cost. The exit code is 1 if a run has failed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tfds_builders.errors import InputError, exit_code
from tfds_builders.program import import_from_here, program, worded
from tfds_builders.wording import plural, suggest


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # so that progress shows even in a file
    import_from_here()
    args = parser().parse_args(arguments)
    failed: list = []
    code = exit_code(
        lambda: failed.extend(_COMMANDS[args.command](args)),
        stopped="the same command goes on with what is not finished",
    )
    return code or int(bool(failed))


def parser() -> argparse.ArgumentParser:
    """The flags of the four commands."""
    module = "learner_jax.sweep"
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="work through a sweep file", **_like(parser))
    choose = commands.add_parser("choose", help="print the runs to name to --final", **_like(parser))
    emit = commands.add_parser("skypilot", help="print a task file for SkyPilot", **_like(parser))
    board = commands.add_parser("board", help="write the leaderboard of a sweep", **_like(parser))
    for one in (run, choose, emit):
        one.add_argument("file", metavar="FILE", help="a sweep file, such as configs/sweeps/demo.py")
        one.add_argument("--out", type=Path, default=Path("runs/sweep"), help="folder of all runs")
        one.add_argument("--data", type=Path, default=Path("data"), help="folder of the datasets")
        one.add_argument(
            "--only", metavar="STUDIES", default="", help="work on these studies of the file only, separated by commas"
        )
    run.add_argument("--launcher", choices=("local", "slurm"), default="local")
    run.add_argument("--workers", type=int, default=0, help="local: runs at the same time; 0: one per GPU, or one")
    run.add_argument("--partition", default="", help="slurm: partition to submit to")
    run.add_argument("--hours", type=float, default=8.0, help="slurm: time limit of each run")
    run.add_argument("--final", type=Path, metavar="NAMES", help="score the runs that this file names on test patients")
    run.add_argument("--dry_run", action="store_true", help="list the commands and what they cost")
    board.add_argument("dir", metavar="DIR", type=Path, help="the --out of a sweep")
    board.add_argument("-o", "--to", type=Path, help="where the board goes (default: DIR/board)")
    return parser


def _like(parser: argparse.ArgumentParser) -> dict:
    return {"formatter_class": parser.formatter_class, "epilog": parser.description.split("\n\n")[1]}


def _stages(args: argparse.Namespace, launch=None, say=print):
    given = os.environ.get("JAX_PLATFORMS")
    os.environ["JAX_PLATFORMS"] = "cpu"  # counting operations must not take device memory away from the runs
    import jax

    jax.devices()
    if given is None:
        del os.environ["JAX_PLATFORMS"]
    else:
        os.environ["JAX_PLATFORMS"] = given
    from learner_jax.sweep import datasets
    from learner_jax.sweep.plan import load
    from learner_jax.sweep.stages import Stages

    sweep = load(args.file)
    known, only = [study.name for study in sweep.studies], list(filter(None, map(str.strip, args.only.split(","))))
    for name in only:
        if name not in known:
            raise InputError(f"--only names {name!r}; {suggest(name, known)}")
    studies = [study for study in sweep.studies if not only or study.name in only]
    skipped = [study.name for study in studies if study.needs_real_data and datasets.real() is None]
    if skipped:
        say(f"skipped, as {datasets.REAL} names no folder of real scans: {', '.join(skipped)}")
    studies = [study for study in studies if study.name not in skipped]
    return Stages(sweep, studies, args.out, args.data, launch, say)


def _run(args: argparse.Namespace) -> list:
    if args.dry_run:
        return _dry_run(args)
    stages = _stages(args, _launcher(args))
    failed = stages.open_test(args.final) if args.final else stages.train()
    if failed:
        print(f"\n{plural(len(failed), 'task')} failed; the same command tries again:", *failed, sep="\n  ")
    elif not args.final:
        print("all runs are trained and scored on validation patients; `choose` names those to score on test patients")
    return failed


def _launcher(args: argparse.Namespace):
    if args.launcher == "slurm":
        from learner_jax.sweep.slurm import Slurm

        return Slurm(args.out / "slurm", args.partition, args.hours)
    from learner_jax.sweep.devices import slots
    from learner_jax.sweep.local import Local

    return Local(slots(args.workers))


def _dry_run(args: argparse.Namespace) -> list:
    from learner_jax.sweep import datasets
    from learner_jax.sweep.cost import Costs, total
    from learner_jax.sweep.runs import used_datasets
    from learner_jax.sweep.wording import shell

    stages = _stages(args)
    for name in used_datasets(stages.sweep, stages.studies):
        for command in datasets.commands(stages.sweep, name, args.data):
            print(shell(["python", *command[1:]]))
    runs, found = stages.everything(), []
    costs = Costs(runs, args.out)
    for run in runs:
        steps = cost = None
        try:
            steps = stages.steps(run)
            told = cost = costs.of(run, steps)
        except InputError as fault:  # the budget needs a dataset or a speed that is not there yet
            told = f"steps not known yet: {fault}"
        found.append(cost)
        print(f"# {run.id}: {told}", shell(["python", *run.command(args.out, steps)[1:]]), sep="\n")
    print(f"# {total(found)}")
    return []


def _choose(args: argparse.Namespace) -> list:
    runs = _stages(args, say=lambda text: print(text, file=sys.stderr)).chosen()
    if not runs:
        raise InputError("no learning rate is chosen yet; run the sweep first")
    print(*(run.id for run in runs), sep="\n")
    return []


def _skypilot(args: argparse.Namespace) -> list:
    from learner_jax.sweep.skypilot import task_file

    print(task_file(args.file, args.out, args.data), end="")
    return []


def _board(args: argparse.Namespace) -> list:
    from learner_jax.sweep.board import write_board

    print(f"board: {write_board(args.dir, args.to or args.dir / 'board')}")
    return []


_COMMANDS = {"run": _run, "choose": _choose, "skypilot": _skypilot, "board": _board}

if __name__ == "__main__":
    sys.exit(main())
