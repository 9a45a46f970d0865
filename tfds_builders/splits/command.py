"""Add splits to a built dataset, or list what its splits hold.

    python -m tfds_builders.splits data/lus --name other --seed 1 --fractions 0.6 0.2 0.2
    python -m tfds_builders.splits data/lus --name cv --folds 5
    python -m tfds_builders.splits data/lus --name published --from lus_split.json
    python -m tfds_builders.splits data/lus --list

A split is DATA_DIR/splits/NAME.json, which names patients by keyed hashes. The file can be published and applied with
--from to any dataset that was built with the same identity key. Patients it does not name belong to no part; a message
says how many they are.
"""

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tfds_builders.cohort import read_table
from tfds_builders.errors import InputError, exit_code
from tfds_builders.record import check_complete
from tfds_builders.splits import deal, stored
from tfds_builders.splits.split import Split, check, describe


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tfds_builders.splits", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data_dir", type=Path, help="folder of a built dataset")
    parser.add_argument("--name", help="name of the new split, for --config.data.split; folds are NAME-0, NAME-1, …")
    parser.add_argument("--seed", type=int, default=0, help="seed by which patients are dealt out")
    kind = parser.add_mutually_exclusive_group()
    parts = ("TRAIN", "VAL", "TEST")
    kind.add_argument("--fractions", type=float, nargs=3, default=deal.FRACTIONS, metavar=parts, help="of patients")
    kind.add_argument(
        "--folds", type=int, metavar="K", help="K splits for cross-validation: each patient is in test once"
    )
    kind.add_argument("--from", type=Path, dest="file", metavar="FILE", help="apply a published split file")
    kind.add_argument("--list", action="store_true", help="list what each stored split holds")
    args = parser.parse_args(arguments)
    if args.name is None and not args.list:
        parser.error("--name is missing; give the new split a name")
    return exit_code(lambda: _list(args.data_dir) if args.list else add(args))


def _list(data_dir: Path) -> None:
    check_complete(data_dir)
    table = read_table(data_dir)
    for name in stored.names(data_dir):
        print(describe(table, stored.read(data_dir, name)))


def add(args: argparse.Namespace) -> None:
    """Make splits of a built dataset, store them and print what they hold.

    Raises:
      InputError: there is no dataset, the name is invalid or taken, the fractions or folds are impossible, or the file
        is not a split or does not fit the dataset.
    """
    data_dir: Path = args.data_dir
    check_complete(data_dir)
    table, duplicates = read_table(data_dir), stored.duplicates(data_dir)
    new = _new(args, table, duplicates)
    for split in new:
        _check_name(data_dir, split.name)
        check(table["patient"].to_list(), split, duplicates)
    for split in new:
        print(describe(table, split))
        print(stored.write(data_dir, split))


def _new(args: argparse.Namespace, table: pl.DataFrame, duplicates: list[list[int]]) -> list[Split]:
    if args.file:
        return [dataclasses.replace(stored.read_for(args.data_dir, args.file), name=args.name)]
    if args.folds is not None:
        return deal.folds(table, args.folds, args.seed, args.name, duplicates)
    return [deal.make(table, args.fractions, args.seed, args.name, duplicates)]


def _check_name(data_dir: Path, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,31}", name):
        raise InputError(f"--name is {name!r}; it must be one word of 1 to 32 letters, digits and _ + . -")
    if name in stored.names(data_dir):
        raise InputError(f"{data_dir} already has a split {name!r}; choose another --name")
