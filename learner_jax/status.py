"""``python -m learner_jax.status DIR…``: what is running, how far, how fast, how healthy. Does not import JAX."""

import argparse
import dataclasses
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from learner_jax.report.folders import runs_below
from learner_jax.report.health import Health, look
from tfds_builders.errors import InputError, exit_code
from tfds_builders.program import program


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: print a table of runs, or JSON; returns the exit code."""
    flags = parser().parse_args(arguments)
    return exit_code(lambda: status(flags.dir, flags.json), stopped="it only reads, so nothing has changed")


def parser() -> argparse.ArgumentParser:
    """The flags."""
    command = program("learner_jax.status")
    parser = argparse.ArgumentParser(
        prog=command,
        description="Show all runs in these folders and below: what is running, how far, how fast, how healthy. Only "
        "reads files, so runs are not disturbed.",
        epilog=f"example: {command} runs/demo, or: watch -n 10 {command} runs",
    )
    parser.add_argument("dir", metavar="DIR", nargs="+", help="a run, or a folder of runs at any depth")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return parser


def status(folders: Sequence[str], as_json: bool = False) -> None:
    """Print the health of the runs in ``folders``.

    Raises:
      InputError: there is no run, or a run has a damaged file; the other runs are printed first.
    """
    found, faults = [], []
    for run in runs_below(folders):
        try:
            found.append(look(run))
        except InputError as fault:
            faults.append(str(fault))
    if as_json:
        print(json.dumps({"runs": [dataclasses.asdict(health) for health in found]}, indent=1))
    elif found:
        _print(found)
    if faults:
        raise InputError("; ".join(faults))


def _print(found: Sequence[Health]) -> None:
    console = Console(highlight=False, markup=False)
    base = _common(found)
    _print_table(console, found, [_name(health, base) for health in found])
    for health in found:
        for warning in health.warnings:
            console.print(f"warning: {_name(health, base)}: {warning}")
    counts = Counter(health.state for health in found)
    summary = [f"{counts[state]} {state}" for state in ("running", "finished") if counts[state]]
    if n := counts["interrupted"]:
        summary.append(f"{n} interrupted: the command that started it goes on from its newest checkpoint")
    console.print(", ".join(summary), soft_wrap=True)


def _print_table(console: Console, found: Sequence[Health], names: Sequence[str]) -> None:
    """A line for each run or, where that is too wide, two: its name, and below it the rest."""
    table = _table(found, names)
    endless = console.options.update(max_width=100_000)
    if console.measure(table, options=endless).maximum <= console.width:
        console.print(table)
        return
    with console.capture() as drawn:
        console.print(_table(found))
    lines = drawn.get().splitlines()
    console.out(*lines[: -len(found)], sep="\n", highlight=False)
    for health, name, line in zip(found, names, lines[-len(found) :], strict=True):
        console.out(f"{name} ({health.ended})" if health.ended else name, line, sep="\n", highlight=False)


def _table(found: Sequence[Health], names: Sequence[str] = ()) -> Table:
    """A table of runs. With ``names`` it has their column, and how a run ended below its state; else a line each."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    if names:
        table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for title in ("step", "loss", "ex/s", "input\nwait %", "eta", "saved", "good-\nput %", "seen"):
        table.add_column(title, justify="right", no_wrap=True)
    for at, health in enumerate(found):
        table.add_row(
            *names[at : at + 1],
            f"{health.state}\n({health.ended})" if names and health.ended else health.state,
            f"{health.step}/{health.steps}",
            _number(health.loss, "{:.3g}"),
            _number(health.examples_per_second, "{:.0f}"),
            _percent(health.input_wait),
            _duration(health.eta),
            _number(health.checkpoint, "{}"),
            _percent(health.goodput),
            _duration(health.seen),
        )
    return table


def _common(found: Sequence[Health]) -> str:
    """The deepest folder above all runs."""
    parents = [os.path.dirname(os.path.abspath(health.run)) for health in found]
    return os.path.commonpath(parents)


def _name(health: Health, base: str) -> str:
    return os.path.relpath(os.path.abspath(health.run), base)


def _number(value: float | int | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}"


def _duration(seconds: float | None) -> str:
    """``42 s``, ``7 min``, ``3:05 h``, ``12 d``."""
    if seconds is None:
        return "–"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours}:{minutes:02d} h"
    return f"{seconds / 86400:.0f} d"


if __name__ == "__main__":
    sys.exit(main())
