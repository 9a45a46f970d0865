"""Raw scans and a cohort table in, a dataset out.

    python -m tfds_builders.build ultrasound_clips --cohort cohort.csv --scores severity --data_dir data/lus

The table and every file are checked first. The dataset is then built beside its place and moved there when it is
complete, so a build that fails or is stopped leaves nothing behind.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import inspect
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfds_builders import cohort, cohort_csv, dataset_dir, identity, progress, splits
from tfds_builders.brain_volumes import brain_volumes_dataset_builder
from tfds_builders.builder import ScanBuilder, attempt
from tfds_builders.dataset_dir import Source
from tfds_builders.errors import InputError, exit_code
from tfds_builders.pool import cores
from tfds_builders.record import DatasetMeta
from tfds_builders.synthetic_lus import synthetic_lus_dataset_builder
from tfds_builders.ultrasound_clips import ultrasound_clips_dataset_builder
from tfds_builders.wording import plural

BUILDERS: dict[str, type[ScanBuilder]] = {
    module.Builder.name: module.Builder
    for module in (ultrasound_clips_dataset_builder, brain_volumes_dataset_builder, synthetic_lus_dataset_builder)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one dataset; returns the exit code: 0 done, or there already; 2 the input is at fault; 130 interrupted."""
    args = _parser().parse_args(arguments)
    try:
        with _stoppable():
            return exit_code(lambda: run(args))
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130


def run(args: argparse.Namespace) -> None:
    """Check, build, move into place, summarise.

    Raises:
      InputError: whatever the user can mend.
    """
    builder, data_dir = BUILDERS[args.dataset], args.data_dir.absolute()
    options = builder.OPTIONS(**{f.name: getattr(args, f.name) for f in dataclasses.fields(builder.OPTIONS)})
    source = _source(args, builder, options, data_dir)
    if args.check:
        _check_all(builder, source, options, args.processes)
        print("\n".join([*cohort.summary(source.table), "all scans can be read; nothing was built (--check)"]))
        return
    if dataset_dir.is_built(data_dir, source.meta, args.overwrite):
        print(f"{data_dir} is already built from these files with these settings; nothing to do")
        return
    if builder.READS_FILES:
        _probe(builder, source)
    with dataset_dir.beside(data_dir) as scratch:
        built = dataset_dir.write(builder, source, options, args.processes, scratch)
        split = splits.read(built, "default")
        size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())
        dataset_dir.move(built, data_dir, scratch)
    place = f"{size / 2**20:.1f} MiB in {data_dir}"
    print("\n".join([*cohort.summary(source.table), splits.describe(source.table, split), place]))


def _source(args: argparse.Namespace, builder: type[ScanBuilder], options, data_dir: Path) -> Source:
    if builder.READS_FILES:
        frame = cohort_csv.read(args.cohort, tuple(args.scores), tuple(args.covariates), args.allow_outside)
        rows = frame.select("line", "path").to_dicts()
        stats = [Path(row["path"]).stat() for row in rows]
        files = [(stat.st_size, stat.st_mtime_ns) for stat in stats]
        key = identity.load_key(identity.key_file(args.key_file), data_dir)
    else:
        frame, rows = builder.cohort(options)
        files, key = [], identity.PUBLIC_KEY
    table = cohort.deidentify(frame, key)
    preprocessing = builder.preprocessing(options)
    what = json.dumps([builder.name, str(builder.VERSION), preprocessing], sort_keys=True).encode()
    content = what + cohort.canonical_bytes(table)
    named = [column.split(".", 1) for column in table.columns if "." in column]
    meta = DatasetMeta(
        name=builder.name,
        version=str(builder.VERSION),
        modality=builder.MODALITY,
        dtype="uint8",
        axis0=builder.AXIS0,
        scan_shape=builder.shape(options),
        preprocessing=preprocessing,
        scores=tuple(name for kind, name in named if kind == "score"),
        covariates=tuple(name for kind, name in named if kind == "covariate"),
        key_fingerprint=identity.fingerprint(key),
        fingerprint=hashlib.sha256(what + cohort.canonical_bytes(table.drop("split", strict=False))).hexdigest(),
        inputs=identity.keyed_digest(key, content + json.dumps(files).encode()),
        n_scans=table.height,
    )
    return Source(table, rows, meta)


def _probe(builder: type[ScanBuilder], source: Source) -> None:
    results = (attempt(lambda row=row: builder.probe(row), row) for row in source.rows)
    _refuse(results, len(source.rows), "checking")


def _check_all(builder: type[ScanBuilder], source: Source, options, processes: int) -> None:
    _refuse(builder.records(source.rows, options, processes), len(source.rows), "reading")


def _refuse(results: Iterator, total: int, what: str) -> None:
    faults = [str(result) for result in progress.track(results, total, what) if isinstance(result, InputError)]
    if faults:
        shown = faults[: cohort_csv.MAX_FAULTS]
        more = [f"and {len(faults) - len(shown)} more"] if len(faults) > len(shown) else []
        raise InputError("\n  ".join([f"{len(faults)} of {plural(total, 'scan')} cannot be used:", *shown, *more]))


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM unwind as an exit with 143, so that what was begun is removed."""
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    except ValueError:  # not the main thread: a host program handles its own signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tfds_builders.build", description=__doc__, formatter_class=kind)
    commands = parser.add_subparsers(dest="dataset", required=True, metavar="DATASET")
    for name, builder in BUILDERS.items():
        text = inspect.getdoc(builder)
        example = f"example:\n  {builder.EXAMPLE}"
        command = commands.add_parser(name, help=text, description=text, epilog=example, formatter_class=kind)
        command.add_argument("--data_dir", type=Path, required=True, help="folder that will hold the dataset")
        if builder.READS_FILES:
            _add_cohort_flags(command)
        comments = dict(re.findall(r"^    (\w+): .*#\s*(.*)$", inspect.getsource(builder.OPTIONS), re.MULTILINE))
        for field in dataclasses.fields(builder.OPTIONS):
            text = f"{comments.get(field.name, '').replace('%', '%%')} (default {field.default})"
            command.add_argument(f"--{field.name}", type=field.type, default=field.default, help=text)
        command.add_argument(
            "--processes", type=_processes, default=cores(), help="that read scans (default: all cores)"
        )
        command.add_argument("--overwrite", action="store_true", help="replace the dataset in --data_dir")
        command.add_argument("--check", action="store_true", help="read everything, say every fault, build nothing")
    return parser


def _add_cohort_flags(command: argparse.ArgumentParser) -> None:
    columns = (
        f"CSV with {', '.join(cohort_csv.REQUIRED)}, optional {', '.join(cohort_csv.OPTIONAL)}; paths relative to it"
    )
    command.add_argument("--cohort", type=Path, required=True, help=columns)
    command.add_argument("--scores", nargs="+", required=True, metavar="NAME", help="columns stored as health scores")
    command.add_argument("--covariates", nargs="+", default=[], metavar="NAME", help="further columns to store")
    key = f"secret behind patients' hashes (default {identity.DEFAULT_FILE} or {identity.ENVIRONMENT}; made if absent)"
    command.add_argument("--key_file", type=Path, help=key)
    command.add_argument("--allow_outside", action="store_true", help="scans may lie outside the CSV's folder")


def _processes(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes, 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
