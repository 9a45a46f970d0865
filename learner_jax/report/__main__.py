"""``python -m learner_jax.report DIR``: the table on the terminal and the page on disk."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from learner_jax import command
from tfds_builders.errors import exit_code
from tfds_builders.program import program


def main(arguments: Sequence[str] | None = None) -> int:
    """Report on a run or a folder of runs; returns the exit code, 2 when the input is at fault."""
    flags = parser().parse_args(arguments)
    out = flags.out or pathlib.Path(flags.dir, "report")
    return exit_code(
        lambda: report(flags.dir, out, flags.scans), stopped="no page was written, and one from before is as it was"
    )


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    command = program("learner_jax.report")
    parser = argparse.ArgumentParser(
        prog=command,
        description="Compare evaluated runs: print one table of arms and floors, write a page with figures.",
        epilog=f"example: {command} runs/demo -o runs/demo/report",
    )
    parser.add_argument("dir", metavar="DIR", help="a run, or a folder of runs")
    parser.add_argument("-o", "--out", metavar="OUT", help="where the page goes (default: DIR/report)")
    parser.add_argument(
        "--scans",
        action="store_true",
        help="show scans of the pairs predicted worst and best; the page then holds pictures of patients",
    )
    return parser


def report(folder: str, out: str | pathlib.Path, scans: bool = False) -> pathlib.Path:
    """Print the table of the runs in ``folder`` and write their page to ``out``; returns the path of the page.

    Only with ``scans`` are the runs' datasets opened, and only then does the page show scans.

    Raises:
      InputError: there is nothing to report, or a file is damaged.
    """
    # Imported here so that --help and a wrong flag answer at once.
    from rich.console import Console

    from learner_jax.bucket import local
    from learner_jax.report import comparison
    from learner_jax.report.page import confidence, differences, write_page
    from learner_jax.report.runs import not_evaluated
    from learner_jax.report.study import read_study
    from learner_jax.report.table import make_table, to_terminal

    study = read_study(local(folder))
    console = Console(highlight=False, markup=False)
    table = make_table(study)
    console.print(to_terminal(table))
    for sentence in (*table.notes, *table.column_notes, *table.below, *study.notes, *differences(study.arms)):
        console.print(sentence)
    if not_evaluated(folder):
        console.print(
            f"`python -m learner_jax.evaluate --workdir {folder}` evaluates what is left out.", soft_wrap=True
        )
    if study.comparison is not None:
        console.print(comparison.to_terminal(study.comparison))
        console.print(comparison.sentence(study.comparison, confidence(study)))
    page = write_page(out, study, _scans(study.arms) if scans else ())
    console.print(f"report: {page}", soft_wrap=True)
    if scans:
        console.print(
            "warning: this page and the pictures beside it hold patients' scans. Keep them where the scans may be; "
            "without --scans a report holds none."
        )
    return page


def _scans(arms: Sequence) -> list:
    from learner_jax.report import scans

    command.quiet()
    return scans.draw(arms)


if __name__ == "__main__":
    sys.exit(main())
