"""Whose hash is this? Works only where the identity key is.

Prints, as CSV, the patients and scans that hashes stand for, or all of the cohort where no HASH is given:

    python -m tfds_builders.resolve cohort.csv 0ee2992986e8d948

It writes no file and needs no scan. Its output names patients.
"""

import argparse
import csv
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from tfds_builders import cohort_csv, identity
from tfds_builders.errors import InputError, exit_code

COLUMNS = ("patient_hash", "scan_id", "source", "patient", "visit", "scan")


def resolve(path: Path, key: bytes, hashes: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The :data:`COLUMNS` of each scan of a cohort CSV, or only of those whose patient or scan has one of ``hashes``.

    Raises:
      InputError: the table cannot be read, or a hash stands for nobody in it.
    """
    rows = []
    for cell in cohort_csv.cells(path):
        source, patient = (identity.composed(cell.get(name, "")) for name in ("source", "patient"))
        scan = cell["scan"]
        hashed = identity.patient_hash(key, source, patient), identity.scan_hash(key, scan)
        rows.append((*hashed, source, patient, cell["visit"], scan))
    if strange := set(hashes) - {found for row in rows for found in row[:2]}:
        raise InputError(
            f"{path} has no patient and no scan with the hash {', '.join(sorted(strange))}: it is of another cohort, "
            f"or made with another key; name the key with --key_file or {identity.ENVIRONMENT}"
        )
    return [row for row in rows if not hashes or set(row[:2]) & set(hashes)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tfds_builders.resolve", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("cohort", type=Path, help="the CSV that the dataset was built from")
    parser.add_argument("hash", nargs="*", help="of a patient or a scan; none: all")
    parser.add_argument("--key_file", type=Path, help=f"as in the build (default {identity.DEFAULT_FILE})")
    given = parser.parse_args(arguments)

    def show() -> None:
        rows = resolve(given.cohort, identity.read_key(identity.key_file(given.key_file)), given.hash)
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *rows])

    return exit_code(show)


if __name__ == "__main__":
    sys.exit(main())
