"""Write a cohort CSV for a known archive.

    python -m tfds_builders.cohort adni ADNI -o cohort.csv --adnimerge ADNIMERGE.csv --collection mri.csv
    python -m tfds_builders.cohort covid_blues COVID-BLUES -o cohort.csv --check

The CSV has one row for each scan, with paths that start from ROOT, and is checked as a build would check it. What was
left out, and why, is counted.
"""

import argparse
import csv
import inspect
import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tfds_builders import cohort, cohort_csv, flags
from tfds_builders.archives import ARCHIVES
from tfds_builders.archives.api import Found
from tfds_builders.errors import InputError, exit_code
from tfds_builders.wording import plural

_OWN = ("patient", "visit", "time_days", "view", "source", "site", "acquisition", "processing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tfds_builders.cohort", description=__doc__, formatter_class=kind)
    commands = parser.add_subparsers(dest="archive", required=True, metavar="ARCHIVE")
    for name, archive in ARCHIVES.items():
        text = inspect.getdoc(archive)
        command = commands.add_parser(name, help=text.splitlines()[0], description=text, formatter_class=kind)
        command.add_argument("root", type=Path, metavar="ROOT", help="folder of the archive")
        command.add_argument("-o", "--out", type=Path, required=True, help="the CSV to write")
        command.add_argument("--overwrite", action="store_true", help="replace it")
        command.add_argument("--check", action="store_true", help="read every scan as well, and say every fault")
        flags.add(command, archive)
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Find, write, check, summarise.

    Raises:
      InputError: whatever the user can mend; then nothing was written.
    """
    if args.out.exists() and not args.overwrite:
        raise InputError(f"{args.out} exists; choose another place with -o, or replace it with --overwrite")
    if not args.root.is_dir():
        raise InputError(f"there is no folder {args.root}; name the folder of the archive as ROOT")
    archive = flags.values(args, ARCHIVES[args.archive])
    found = archive.find(args.root)
    root = found.root or args.root
    scores, covariates = tuple(found.rows[0].scores), tuple(found.rows[0].covariates)
    beside = args.out.with_name(f".{args.out.name}.new")
    try:
        _write(beside, found, root, scores, covariates)
        frame = cohort_csv.read(beside, scores, covariates, root=root)
        if args.check:
            _read_all(archive.dataset, frame)
        beside.replace(args.out)
    finally:
        beside.unlink(missing_ok=True)
    for what, count in found.notes.items():
        if count:
            print(f"{what}: {count}")
    named = frame.with_columns(pl.concat_str("source", "patient", separator="\0").alias("patient"))
    print("\n".join(cohort.summary(named, histograms=True)))
    more = f" --covariates {' '.join(covariates)}" if covariates else ""
    print(
        f"{args.out} written. Look it through, then: python -m tfds_builders.build {archive.dataset} "
        f"--cohort {args.out} --root {root} --scores {' '.join(scores)}{more} --data_dir data/{args.archive}"
    )


def _write(path: Path, found: Found, root: Path, scores: tuple[str, ...], covariates: tuple[str, ...]) -> None:
    own = [name for name in _OWN if name in cohort_csv.REQUIRED or any(getattr(row, name) for row in found.rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scan", *own, *scores, *covariates])
        for row in found.rows:
            values = [getattr(row, name) for name in own] + [row.scores[name] for name in scores]
            values += [row.covariates[name] for name in covariates]
            writer.writerow([row.scan.relative_to(root).as_posix(), *map(_cell, values)])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return "" if value is None else str(value)


def _read_all(dataset: str, frame: pl.DataFrame) -> None:
    from tfds_builders import build  # TFDS takes seconds to import, and only this needs it

    builder = build.BUILDERS[dataset]
    rows = frame.select("line", "path").to_dicts()
    build.refuse(rows, builder.records(rows, builder.OPTIONS(), build.cores()), 0, "reading")
    print(f"{plural(len(rows), 'scan')} can be read")
