"""Raw scans and a cohort table in, a dataset out.

    python -m tfds_builders.build ultrasound_clips --cohort cohort.csv --scores severity --data_dir data/lus

The table and the header of every file are checked first. The dataset is then built beside its final place and moved
there once it is complete, so a build that fails or is stopped leaves nothing that could be opened by mistake. Finished
shards are kept, and the same command continues from them.
"""

import argparse
import contextlib
import inspect
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfds_builders import (
    beam,
    cohort,
    cohort_csv,
    dataset_dir,
    flags,
    identity,
    progress,
    remote,
    source,
    splits,
    write,
)
from tfds_builders.brain_volumes import brain_volumes_dataset_builder
from tfds_builders.builder import FileBuilder, ScanBuilder
from tfds_builders.errors import InputError, exit_code
from tfds_builders.pool import cores
from tfds_builders.program import program, worded
from tfds_builders.readers.api import ScanError
from tfds_builders.source import Source
from tfds_builders.stills import stills_dataset_builder
from tfds_builders.synthetic_lus import synthetic_lus_dataset_builder
from tfds_builders.synthetic_mri import synthetic_mri_dataset_builder
from tfds_builders.ultrasound_clips import ultrasound_clips_dataset_builder
from tfds_builders.wording import first_few, plural

BUILDERS: dict[str, type[ScanBuilder]] = {
    module.Builder.name: module.Builder
    for module in (
        ultrasound_clips_dataset_builder,
        brain_volumes_dataset_builder,
        stills_dataset_builder,
        synthetic_lus_dataset_builder,
        synthetic_mri_dataset_builder,
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one dataset; returns the exit code: 0 built, or built already; 2 the input is at fault; 130 interrupted."""
    args = parser().parse_args(arguments)
    with stoppable():
        return exit_code(lambda: run(args), stopped="no dataset was written")


def run(args: argparse.Namespace) -> None:
    """Check the input, build the dataset, move it into place and summarise it.

    Raises:
      InputError: for anything that the user can mend.
    """
    builder, in_bucket = BUILDERS[args.dataset], remote.is_remote(args.data_dir)
    # A link is followed: the dataset replaces what the link points to, not the link itself.
    data_dir = remote.staging(args.data_dir) if in_bucket else Path(os.path.realpath(args.data_dir))
    options = flags.values(args, builder.OPTIONS)
    pipeline = None if args.beam is None else beam.pipeline_options(args.beam)
    how = write.How(args.processes, args.max_bad_fraction, pipeline)
    cohort_source = _source(args, builder, options, data_dir)
    n_rows = len(cohort_source.rows)
    max_bad = how.max_bad(n_rows)
    if args.check:
        refuse(cohort_source.rows, builder.records(cohort_source.rows, options, args.processes), 0, "reading")
        said = f"{plural(n_rows, 'scan')} can be read; nothing was built (--check)"
        print("\n".join([*cohort.summary(cohort_source.table), said]))
        return
    place, is_built = (args.data_dir, remote.is_built) if in_bucket else (data_dir, dataset_dir.is_built)
    if is_built(place, cohort_source.meta, args.overwrite, max_bad):
        print(f"{place} is already built from these files with these settings; nothing to do")
        return
    if issubclass(builder, FileBuilder):
        probed = (_probe(builder, row, options) for row in cohort_source.rows)
        refuse(cohort_source.rows, probed, max_bad, "checking")
    with dataset_dir.work_folder(data_dir) as work:
        built = write.dataset(builder, cohort_source, options, how, work)
        table, split = cohort.read_table(built), splits.read(built, "default")
        size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())
        taken: list[str] = []
        # Once more: another build may have finished first.
        if not is_built(place, cohort_source.meta, args.overwrite, max_bad):
            taken = splits.take_over(place, built)
            if in_bucket:
                remote.upload(built, args.data_dir)
            else:
                dataset_dir.move(built, data_dir, work)
    told = f"{size / 2**20:.1f} MiB in {place}"
    print("\n".join([*cohort.summary(table), splits.describe(table, split), *taken, told]))


def _source(args: argparse.Namespace, builder: type[ScanBuilder], options, data_dir: Path) -> Source:
    if not issubclass(builder, FileBuilder):
        return source.of_nothing(builder, options)
    return source.of_files(
        builder,
        options,
        csv=args.cohort,
        scores=tuple(args.scores),
        covariates=tuple(args.covariates),
        root=args.root,
        allow_outside=args.allow_outside,
        key=identity.load_key(identity.key_file(args.key_file), data_dir),
    )


def _probe(builder: type[FileBuilder], row: source.Row, options) -> ScanError | None:
    try:
        builder.probe(row, options)
    except ScanError as error:
        return error
    return None


def refuse(rows: list[source.Row], results: Iterator, allowed: int, what: str) -> None:
    """Go through the results of all rows and report every error among them at once, if there are too many.

    Args:
      rows: of the cohort, with their ``line`` in the CSV.
      results: one for each row; a :class:`ScanError` where its scan cannot be used.
      allowed: how many errors are tolerated.
      what: label of the progress bar.

    Raises:
      InputError: there are more than ``allowed`` errors.
    """
    tracked = zip(rows, progress.track(results, len(rows), what), strict=True)
    faults = [f"line {row['line']}: {result}" for row, result in tracked if isinstance(result, ScanError)]
    if len(faults) > allowed:
        heading = f"{len(faults)} of {plural(len(rows), 'scan')} cannot be used:"
        raise InputError("\n  ".join([heading, *first_few(faults, cohort_csv.MAX_FAULTS)]))


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM into ``sys.exit(143)``, so that unfinished files are cleaned up on the way out."""
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    except ValueError:  # not in the main thread: the program that called us handles its own signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parser() -> argparse.ArgumentParser:
    """One sub-command for each dataset, with its flags."""
    module, kind = "tfds_builders.build", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    commands = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    for name, builder in BUILDERS.items():
        text = inspect.getdoc(builder)
        example = f"example:\n  {worded(builder.EXAMPLE, module)}"
        command = commands.add_parser(name, help=text, description=text, epilog=example, formatter_class=kind)
        command.add_argument("--data_dir", required=True, help="folder that will hold the dataset, or gs://BUCKET/NAME")
        if issubclass(builder, FileBuilder):
            _add_cohort_flags(command)
        flags.add(command, builder.OPTIONS)
        command.add_argument(
            "--processes", type=_processes, default=cores(), help="processes that read scans (default: all cores)"
        )
        command.add_argument(
            "--max_bad_fraction", type=_fraction, default=0.0, metavar="F", help=f"{_MAX_BAD} (default 0)"
        )
        command.add_argument("--beam", nargs="?", const="", metavar="NAME=VALUE,…", help=_BEAM)
        command.add_argument("--overwrite", action="store_true", help="replace the dataset in --data_dir")
        command.add_argument(
            "--check", action="store_true", help="read every scan and report every fault, but build nothing"
        )
    return parser


def _add_cohort_flags(command: argparse.ArgumentParser) -> None:
    columns = f"CSV with {', '.join(cohort_csv.REQUIRED)}, optional {', '.join(cohort_csv.OPTIONAL)}"
    command.add_argument("--cohort", type=Path, required=True, help=columns)
    command.add_argument("--scores", nargs="+", required=True, metavar="NAME", help="columns stored as health scores")
    command.add_argument("--covariates", nargs="+", default=[], metavar="NAME", help="further columns to store")
    key = f"secret behind patients' hashes (default {identity.DEFAULT_FILE} or {identity.ENVIRONMENT}; made if absent)"
    command.add_argument("--key_file", type=Path, help=key)
    command.add_argument("--root", type=Path, help="folder that the paths start from (default: the CSV's)")
    command.add_argument("--allow_outside", action="store_true", help="scans may lie outside that folder")


_MAX_BAD = "part of the scans that may be left out because they cannot be used; each is named in build_report.json"
_BEAM = "build with Apache Beam and these options of its pipeline, as in runner=DirectRunner,direct_num_workers=2"


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 1")
    return value


def _processes(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes, 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
