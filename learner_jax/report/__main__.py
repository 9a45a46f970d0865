"""``python -m learner_jax.report DIR``: the table on the terminal and the page on disk."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from tfds_builders.errors import exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Report on a run or a folder of runs; the exit code is 2 when the input is at fault."""
    parser = argparse.ArgumentParser(
        prog="python -m learner_jax.report",
        description="Compare evaluated runs: print one table of arms and floors, write a page with figures.",
        epilog="example: python -m learner_jax.report runs/demo -o runs/demo/report",
    )
    parser.add_argument("dir", metavar="DIR", help="a run, or a folder of runs")
    parser.add_argument("-o", "--out", metavar="OUT", help="where the page goes (default: DIR/report)")
    flags = parser.parse_args(arguments)
    return exit_code(lambda: report(flags.dir, flags.out or pathlib.Path(flags.dir, "report")))


def report(folder: str, out: str | pathlib.Path) -> pathlib.Path:
    """Print the table of the runs in ``folder`` and write their page to ``out``; returns the path of the page.

    Raises:
      InputError: when there is nothing to report, or a file is damaged.
    """
    # Imported here so that --help and a wrong flag answer at once.
    from rich.console import Console

    from learner_jax.report.page import differences, write_page
    from learner_jax.report.runs import find_runs, load, not_evaluated
    from learner_jax.report.table import make_table, to_terminal

    runs = [load(run) for run in find_runs(folder)]
    notes = [f"{run.name} is left out: it has no evaluation yet." for run in not_evaluated(folder)]
    notes += [f"{run.name}: {run.collapse}." for run in runs if run.collapse]
    console = Console(highlight=False, markup=False)
    table = make_table(runs)
    console.print(to_terminal(table))
    for sentence in (*table.notes, *notes, *differences(runs)):
        console.print(sentence)
    if not_evaluated(folder):
        console.print(
            f"`python -m learner_jax.evaluate --workdir {folder}` evaluates what is left out.", soft_wrap=True
        )
    page = write_page(out, runs, notes)
    console.print(f"report: {page}", soft_wrap=True)
    return page


if __name__ == "__main__":
    sys.exit(main())
