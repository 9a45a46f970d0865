"""Write a cohort CSV for a known archive.

    python -m tfds_builders.cohort adni ADNI -o cohort.csv --adnimerge ADNIMERGE.csv --collection mri.csv
    python -m tfds_builders.cohort covid_blues COVID-BLUES -o cohort.csv --check

The CSV has one row per scan, with paths relative to ROOT, and is checked as a build would check it. What was left out,
and why, is counted.
"""

import argparse
import csv
import inspect
import math
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tfds_builders import cohort, cohort_csv, flags
from tfds_builders.archives import ARCHIVES
from tfds_builders.archives.api import Archive, Found, Row
from tfds_builders.errors import InputError, exit_code
from tfds_builders.wording import plural, suggest

_OWN = ("patient", "visit", "time_days", "view", "source", "site", "acquisition", "processing", "split")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code: 0 written, 2 the input is at fault."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and not arguments[0].startswith("-") and arguments[0] not in ARCHIVES:
        print(f"error: no archive is called {arguments[0]!r}; {suggest(arguments[0], ARCHIVES)}", file=sys.stderr)
        return 2
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tfds_builders.cohort", description=__doc__, formatter_class=kind)
    commands = parser.add_subparsers(dest="archive", required=True, metavar="ARCHIVE")
    for name, archive in ARCHIVES.items():
        text = inspect.getdoc(archive)
        command = commands.add_parser(name, help=text.splitlines()[0], description=text, formatter_class=kind)
        command.add_argument("root", type=Path, metavar="ROOT", help="folder of the archive")
        command.add_argument("-o", "--out", type=Path, required=True, help="the CSV to write")
        command.add_argument("--overwrite", action="store_true", help="replace it")
        command.add_argument("--check", action="store_true", help="also read every scan, and report every fault")
        flags.add(command, archive)
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Collect the scans of an archive, write the CSV, check it and summarise it.

    Raises:
      InputError: for anything that the user can mend; then nothing was written.
    """
    _check_place(args)
    if not args.root.is_dir():
        raise InputError(f"there is no folder {args.root}; name the folder of the archive as ROOT")
    archive = flags.values(args, ARCHIVES[args.archive])
    found = archive.find(args.root)
    root = found.root or args.root
    found.rows = _without_links_out(found, root)
    scores, covariates = tuple(found.rows[0].scores), tuple(found.rows[0].covariates)
    beside = args.out.with_name(f".{args.out.name}.new")
    try:
        _write(beside, found, root, scores, covariates)
        frame = _read_back(beside, found.rows, scores, covariates, root)
        if args.check:
            _read_all(archive, frame)
        beside.replace(args.out)
    finally:
        beside.unlink(missing_ok=True)
    named = frame.with_columns(pl.concat_str("source", "patient", separator="\0").alias("patient"))
    print("\n".join([*_counted(found), *cohort.summary(named, histograms=True)]))
    flags_of_build = ["--cohort", args.out, "--root", root, "--scores", *scores]
    flags_of_build += ["--covariates", *covariates] if covariates else []
    for name, value in _options(archive).items():
        flags_of_build += [f"--{name}", value] if value else []
    flags_of_build += ["--data_dir", f"data/{args.archive}"]
    then = shlex.join(["python", "-m", "tfds_builders.build", archive.dataset, *map(str, flags_of_build)])
    print(f"{args.out} written. Look it through, then: {then}")


def _check_place(args: argparse.Namespace) -> None:
    out: Path = args.out
    if out.is_dir():
        raise InputError(f"{out} is a folder; name the CSV in it with -o, as in {out / 'cohort.csv'}")
    if out.exists() and not args.overwrite:
        raise InputError(f"{out} exists; choose another place with -o, or replace it with --overwrite")
    tables = [Path(value) for value in vars(args).values() if isinstance(value, str) and value]
    if out.exists() and any(path.exists() and path.samefile(out) for path in tables):
        raise InputError(f"{out} is a table that the cohort is made from; choose another place with -o")


def _counted(found: Found) -> list[str]:
    return [f"{what}: {count}" for what, count in found.notes.items() if count]


def _without_links_out(found: Found, root: Path) -> list[Row]:
    """The rows without those whose scan is a broken link or a link out of ``root``, which are counted in the notes.

    Raises:
      InputError: no row is left.
    """
    kept, inside = [], root.resolve()
    for row in found.rows:
        if row.scan.is_symlink() and not row.scan.exists():
            found.notes["scans are links to nothing, as of files that git-annex has not fetched, and are left out"] += 1
        elif row.scan.is_symlink() and not row.scan.resolve().is_relative_to(inside):
            found.notes["scans are links that lead out of ROOT and are left out"] += 1
        else:
            kept.append(row)
    if not kept:
        raise InputError("\n  ".join([f"no scan of {root} can be taken over:", *_counted(found)]))
    return kept


def _write(path: Path, found: Found, root: Path, scores: tuple[str, ...], covariates: tuple[str, ...]) -> None:
    own = [name for name in _OWN if name in cohort_csv.REQUIRED or any(getattr(row, name) for row in found.rows)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["scan", *own, *scores, *covariates])
            for row in found.rows:
                scan = row.scan.relative_to(root) if row.scan.is_relative_to(root) else row.scan
                values = [getattr(row, name) for name in own] + [row.scores[name] for name in scores]
                values += [row.covariates[name] for name in covariates]
                writer.writerow([scan.as_posix(), *map(_cell, values)])
    except UnicodeEncodeError as error:
        raise InputError(f"a file of {root} has a name that is not UTF-8 ({error.object!r}); rename it") from error
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written to ({error.strerror}); choose another place with -o"
        ) from error


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return "" if value is None else str(value)


def _read_back(path: Path, rows: list[Row], scores, covariates, root: Path) -> pl.DataFrame:
    """Read the CSV as a build will; faults name the scan instead of the line, because the CSV will be removed."""
    try:
        return cohort_csv.read(path, scores, covariates, root=root)
    except InputError as fault:
        of = _by_line(path, rows)
        named = re.sub(r"(?m)^  line (\d+): ", lambda line: f"  {of[int(line[1])].scan}: ", str(fault))
        raise InputError(named.replace(str(path), "the cohort", 1)) from fault


def _by_line(path: Path, rows: list[Row]) -> dict[int, Row]:
    """The rows by the line of the CSV on which they begin; a cell may span several lines."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        starts = [reader.line_num + 1 for _ in reader]
    return dict(zip(starts, rows, strict=False))


def _options(archive: Archive) -> dict[str, Any]:
    """The options of an archive that its dataset has as well."""
    return {name: getattr(archive, name) for name in getattr(archive, "for_build", ())}


def _read_all(archive: Archive, frame: pl.DataFrame) -> None:
    from tfds_builders import build  # TFDS takes seconds to import, and only this needs it

    builder = build.BUILDERS[archive.dataset]
    rows = frame.select("line", "path").to_dicts()
    build.refuse(rows, builder.records(rows, builder.OPTIONS(**_options(archive)), build.cores()), 0, "reading")
    print(f"{plural(len(rows), 'scan')} can be read")
