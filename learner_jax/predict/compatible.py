"""Whether a dataset holds the kind of scans that a run was trained on, prepared in the same way."""

from pathlib import Path
from typing import Any

from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta

_ALWAYS = ("modality", "axis0", "dtype", "scan_shape")
_SAID = {"axis0": "first axis", "scan_shape": "record shape (t h w c)", "name": "builder", "version": "builder version"}


def is_synthetic(stored: dict[str, Any]) -> bool:
    """Whether the run was trained on simulated scans; no file can be prepared as these were."""
    return stored["preprocessing"].get("reader") == "simulate"


def refuse_unlike(meta: DatasetMeta, stored: dict[str, Any], folder: Path) -> None:
    """Refuse a dataset whose records differ in modality, shape, dtype or preprocessing.

    The preprocessing of simulated scans is the knobs of the simulation, so a run on these accepts any dataset with its
    modality, first axis, shape and dtype.

    Args:
      meta: of the dataset.
      stored: ``spec["stored"]`` of the run's read-out.
      folder: of the dataset.

    Raises:
      InputError: lists what differs, with both values.
    """
    own = {**vars(meta), "scan_shape": list(meta.scan_shape)}
    compared = {name: (own[name], stored[name]) for name in _ALWAYS}
    if not is_synthetic(stored):
        compared |= {name: (own[name], stored[name]) for name in ("name", "version")}
        theirs = stored["preprocessing"]
        compared |= {
            f"preprocessing ({name})": (meta.preprocessing.get(name), theirs.get(name))
            for name in sorted(meta.preprocessing.keys() | theirs.keys())
        }
    differing = [f"{_SAID.get(name, name)} is {a!r} and not {b!r}" for name, (a, b) in compared.items() if a != b]
    if differing:
        raise InputError(
            f"{folder} is unlike what the run was trained on: its {'; its '.join(differing)}. Build it from the files "
            "with the options of the run's dataset (python -m tfds_builders.build --help)"
        )
