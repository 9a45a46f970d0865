"""Splits as files of sorted keyed hashes, so that a file can be published and has the same bytes everywhere.

``{"key_fingerprint": …, "train": [hash, …], "val": […], "test": […]}``. The file is the only record of a split: the
seed that dealt the patients out is not stored. A file can be applied to any dataset hashed with the same key.
"""

import json
import re
from pathlib import Path
from typing import Any

from etils import epath

from tfds_builders.cohort import SPLITS, read_table
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta
from tfds_builders.splits.split import Split, check, describe
from tfds_builders.whole import write_whole
from tfds_builders.wording import suggest

FOLDER = "splits"
DUPLICATES_FILE = "duplicates.json"
_HASH = re.compile(r"[0-9a-f]{16}")  # as in tfds_builders.identity; clear names must not get into a data folder
_MAKE = "make a split: python -m tfds_builders.splits --help"


def write(dataset_dir: Path, split: Split) -> Path:
    """Store a split of a dataset as ``splits/<name>.json``; returns the file."""
    path = Path(dataset_dir) / FOLDER / f"{split.name}.json"
    path.parent.mkdir(exist_ok=True)
    write_file(path, split, DatasetMeta.read(dataset_dir).key_fingerprint)
    return path


def read(dataset_dir: Path | str, name: str) -> Split:
    """Read a stored split of a dataset; :func:`~tfds_builders.splits.check` says whether it holds.

    Raises:
      InputError: there is no split of that name (the message lists those that exist), its file is not a split, or was
        made with another key.
    """
    known = names(dataset_dir)
    if name not in known:
        raise InputError(f"{dataset_dir} has no split {name!r}; {suggest(name, known)}. Set --config.data.split=…")
    return read_for(dataset_dir, Path(dataset_dir) / FOLDER / f"{name}.json")


def take_over(before: epath.PathLike, after: Path) -> list[str]:
    """Copy the splits that users added to a dataset (all but ``default``) into the dataset that replaces it.

    Args:
      before: where the dataset is that is replaced, if there is one; may be in a bucket.

    Returns:
      For each, what it holds in the new dataset, or why it no longer fits.
    """
    told = []
    for name in names(before):
        if name != "default":
            file = Path(after) / FOLDER / f"{name}.json"
            file.write_bytes((epath.Path(before) / FOLDER / file.name).read_bytes())
            told.append(_told(after, name))
    return told


def _told(dataset_dir: Path, name: str) -> str:
    table = read_table(dataset_dir)
    try:
        split = read(dataset_dir, name)
        check(table["patient"].to_list(), split, duplicates(dataset_dir))
    except InputError as fault:
        return f"split {name}, which was here before, no longer fits: {fault}"
    return describe(table, split)


def names(dataset_dir: epath.PathLike) -> list[str]:
    """Names of the stored splits of a dataset, which may be in a bucket, sorted."""
    return sorted(path.stem for path in (epath.Path(dataset_dir) / FOLDER).glob("*.json"))


def read_for(dataset_dir: Path | str, path: Path) -> Split:
    """Read a split file, to apply it to a dataset.

    Raises:
      InputError: it is not a split file, or its hashes were made with another key than the dataset's.
    """
    key, split = read_file(path)
    own = DatasetMeta.read(dataset_dir).key_fingerprint
    if key != own:
        raise InputError(
            f"{path} names patients by hashes of the key {key}, {dataset_dir} by those of the key {own}, so they "
            f"cannot be matched; build the dataset with that key (--key_file), or {_MAKE}"
        )
    return split


def write_file(path: Path, split: Split, key_fingerprint: str) -> None:
    """Write a split file, atomically; equal splits and keys give equal bytes."""
    write_whole(path, json.dumps({"key_fingerprint": key_fingerprint, **split.parts}, indent=1) + "\n")


def read_file(path: Path) -> tuple[str, Split]:
    """Read a split file: the fingerprint of its key, and the split, which is named after the file.

    Raises:
      InputError: the file cannot be read, or does not hold a key's fingerprint and three lists of keyed hashes.
    """
    values = _load(path)
    expected = {"key_fingerprint", *SPLITS}
    if not isinstance(values, dict) or set(values) != expected:
        raise InputError(f"{path} does not hold {', '.join(sorted(expected))} and nothing else; {_MAKE}")
    for part in SPLITS:
        given = values[part] if isinstance(values[part], list) else [values[part]]
        wrong = [value for value in given if not (isinstance(value, str) and _HASH.fullmatch(value))]
        if wrong or given is not values[part]:
            raise InputError(
                f"{path}: {part} holds {json.dumps((wrong or given)[0])[:40]}; it is a list of patients, as the 16 hex "
                f"digits that cohort.parquet has for each; {_MAKE}"
            )
    return str(values["key_fingerprint"]), Split(path.stem, *(tuple(sorted(values[part])) for part in SPLITS))


def duplicates(dataset_dir: Path | str) -> list[list[int]]:
    """Groups of record rows with identical pixels, as found by the build; empty where it stored no list.

    Raises:
      InputError: the list is damaged.
    """
    path = Path(dataset_dir) / DUPLICATES_FILE
    if not path.exists():
        return []
    groups = _load(path)
    n = DatasetMeta.read(dataset_dir).n_scans
    if not isinstance(groups, list) or not all(_is_group(group, n) for group in groups):
        raise InputError(
            f"{path} is not a list of lists of rows from 0 to {n - 1}; build the dataset again with --overwrite"
        )
    return groups


def _is_group(group: Any, n: int) -> bool:
    return isinstance(group, list) and all(type(row) is int and 0 <= row < n for row in group)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # RecursionError for deeply nested brackets
        raise InputError(f"{path} cannot be read ({error})") from error
