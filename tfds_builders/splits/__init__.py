"""Patient -> train, val or test, as files of keyed hashes beside the records, so a new split never needs a rebuild."""

from tfds_builders.splits.command import main
from tfds_builders.splits.deal import FRACTIONS, folds, make
from tfds_builders.splits.split import Split, check, check_unseen, describe
from tfds_builders.splits.stored import DUPLICATES_FILE, duplicates, read, read_file, take_over, write, write_file

__all__ = [
    "DUPLICATES_FILE",
    "FRACTIONS",
    "Split",
    "check",
    "check_unseen",
    "describe",
    "duplicates",
    "folds",
    "main",
    "make",
    "read",
    "read_file",
    "take_over",
    "write",
    "write_file",
]
