"""A few scans prepared as those of a dataset were: by the same builder, with the same options, readers and guards."""

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

_OF_MADE_UP = {"ultrasound": "ultrasound_clips", "mri": "brain_volumes"}  # what reads files of the same kind


def options_of(stored: dict[str, Any]) -> tuple[type[FileBuilder], Any]:
    """The builder and the options behind a dataset.

    Args:
      stored: ``name``, ``version``, ``modality``, ``dtype``, ``scan_shape`` and ``preprocessing`` of
        :class:`~tfds_builders.record.DatasetMeta`. Scans that were made up have no file like them; for those it is the
        builder of files of their modality, with options that give their shape.

    Raises:
      InputError: this version prepares scans in another way, or no builder of files can give that shape.
    """
    builder, preprocessing = BUILDERS.get(stored["name"]), stored["preprocessing"]
    made_up = builder is not None and not issubclass(builder, FileBuilder)
    if made_up:
        builder = BUILDERS.get(_OF_MADE_UP.get(stored["modality"], ""))
    if builder is None:
        raise InputError(f"no builder prepares files as {stored['name']} does; possible: {', '.join(BUILDERS)}")
    shape, dtype = tuple(stored["scan_shape"]), stored["dtype"]
    options = builder.options_of(preprocessing, shape, dtype)
    if (builder.shape(options), builder.dtype(options)) != (shape, dtype):
        raise InputError(f"{builder.name} cannot store scans as {stored['name']} does: {dtype} of {list(shape)}")
    again = json.loads(json.dumps(builder.preprocessing(options)))
    if not made_up and (str(builder.VERSION) != stored["version"] or again != preprocessing):
        raise InputError(
            f"the dataset was built by version {stored['version']} of {stored['name']}, and this software, which has "
            f"version {builder.VERSION}, prepares scans in another way; use the software that it was built with"
        )
    return builder, options


def build(stored: dict[str, Any], scans: Sequence[Path], view: str, folder: Path) -> Path:
    """Build a dataset of one patient whose visits 1, 2, … are these scans, in this order.

    Patient and scans are hashed with a key that nobody keeps, so the hashes tell nothing.

    Args:
      stored: as in :func:`options_of`.
      scans: a file each, or a folder of DICOM slices.
      view: of all of them.
      folder: an empty one, for the dataset and what it is built from.

    Returns:
      The folder of the dataset.

    Raises:
      InputError: a file cannot be used, and why.
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
        raise InputError(f"{scans[0]} is named twice; a change is one between two scans")
    links = [folder / f"visit_{visit}" for visit in range(1, len(paths) + 1)]
    for link, path in zip(links, paths, strict=True):
        link.symlink_to(path)  # a table strips blanks and refuses names with characters that cannot be seen
    table, place = folder / "cohort.csv", folder / "dataset"
    with table.open("w", newline="", encoding="utf-8") as file:
        lines = [(link.name, "patient", visit, "", view) for visit, link in enumerate(links, start=1)]
        csv.writer(file).writerows([("scan", "patient", "visit", "time_days", "view"), *lines])
    prepared = source.of_files(builder, options, csv=table, scores=(), allow_outside=True, key=secrets.token_bytes(32))
    for record in builder.records(prepared.rows, options):
        if isinstance(record, ScanError):
            if "--" in record.reason:  # an option of a build
                raise InputError(f"{record}. Here the options of the build of the run's dataset hold") from record
            raise record
    # what a build says of its progress and of look-alike scans is of a cohort and not of these
    with contextlib.redirect_stderr(io.StringIO()), dataset_dir.work_folder(place) as work:
        built = write.dataset(builder, prepared, options, write.How(), work)
        dataset_dir.move(built, place, work)
    return place
