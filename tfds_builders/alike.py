"""Prepare a few scans exactly as those of a dataset were: the same builder, options, readers and limits."""

import contextlib
import csv
import io
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfds_builders import dataset_dir, source, write
from tfds_builders.build import BUILDERS
from tfds_builders.builder import FileBuilder
from tfds_builders.errors import InputError
from tfds_builders.readers.api import ScanError

_FOR_SIMULATED = {"ultrasound": "ultrasound_clips", "mri": "brain_volumes"}  # modality -> builder that reads its files


def options_of(stored: dict[str, Any]) -> tuple[type[FileBuilder], Any]:
    """The builder and the options that a dataset was built with.

    A simulated dataset was built from no files. For one of those, the result is the builder that reads files of its
    modality, with options that give scans of its shape.

    Args:
      stored: ``name``, ``version``, ``modality``, ``dtype``, ``scan_shape`` and ``preprocessing`` of
        :class:`~tfds_builders.record.DatasetMeta`.

    Raises:
      InputError: this version of the software prepares scans differently, or no builder of files can give that shape.
    """
    builder, preprocessing = BUILDERS.get(stored["name"]), stored["preprocessing"]
    simulated = builder is not None and not issubclass(builder, FileBuilder)
    if simulated:
        builder = BUILDERS.get(_FOR_SIMULATED.get(stored["modality"], ""))
    if builder is None:
        raise InputError(f"no builder prepares files as {stored['name']} does; possible: {', '.join(BUILDERS)}")
    shape, dtype = tuple(stored["scan_shape"]), stored["dtype"]
    options = builder.options_of(preprocessing, shape, dtype)
    if (builder.shape(options), builder.dtype(options)) != (shape, dtype):
        raise InputError(f"{builder.name} cannot store scans as {stored['name']} does: {dtype} of {list(shape)}")
    again = json.loads(json.dumps(builder.preprocessing(options)))
    if not simulated and (str(builder.VERSION) != stored["version"] or again != preprocessing):
        raise InputError(
            f"the dataset was built by version {stored['version']} of {stored['name']}, and this software, which has "
            f"version {builder.VERSION}, prepares scans differently; use the software that it was built with"
        )
    return builder, options


def build(stored: dict[str, Any], scans: Sequence[Path], view: str, folder: Path) -> Path:
    """Build a dataset of one patient whose visits 1, 2, … are these scans, in the order given.

    Patient and scans are hashed with a random key that is then thrown away, so the hashes reveal nothing.

    Args:
      stored: as in :func:`options_of`.
      scans: each a file, or a folder of DICOM slices.
      view: the anatomical view of all of them.
      folder: an empty folder for the dataset and for what it is built from.

    Returns:
      The folder of the dataset.

    Raises:
      InputError: a scan cannot be used; the message says why.
    """
    builder, options = options_of(stored)
    for path in scans:
        try:
            str(path).encode()
        except UnicodeEncodeError as fault:
            raise InputError(f"the name of the scan {str(path)!a} is not UTF-8; rename it") from fault
        if not path.is_file() and not path.is_dir():
            raise InputError(f"there is no scan {path}: no such file, nor folder of slices")
    paths = [path.resolve() for path in scans]
    if len(set(paths)) < len(paths):
        raise InputError(f"{scans[0]} is named twice; a change is between two different scans")
    links = [folder / f"visit_{visit}" for visit in range(1, len(paths) + 1)]
    for link, path in zip(links, paths, strict=True):
        link.symlink_to(path)  # a cohort CSV strips blanks and refuses invisible characters; a file name may have both
    table, place = folder / "cohort.csv", folder / "dataset"
    with table.open("w", newline="", encoding="utf-8") as file:
        lines = [(link.name, "patient", visit, "", view) for visit, link in enumerate(links, start=1)]
        csv.writer(file).writerows([("scan", "patient", "visit", "time_days", "view"), *lines])
    prepared = source.of_files(builder, options, csv=table, scores=(), allow_outside=True, key=secrets.token_bytes(32))
    for record in builder.records(prepared.rows, options):
        if isinstance(record, ScanError):
            if "--" in record.reason:  # the advice names a flag of the build
                raise InputError(f"{record}. Here the options of the build of the run's dataset hold") from record
            raise record
    # A build reports its progress and identical scans on stderr; that is of use for a cohort, not for a few scans.
    with contextlib.redirect_stderr(io.StringIO()), dataset_dir.work_folder(place) as work:
        built = write.dataset(builder, prepared, options, write.How(), work)
        dataset_dir.move(built, place, work)
    return place
