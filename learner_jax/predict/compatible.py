"""Whether a dataset holds scans such as a run was trained on, prepared in the same way."""

from typing import Any

from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta

_ALWAYS = ("modality", "axis0", "dtype", "scan_shape")
_SAID = {"axis0": "first axis", "scan_shape": "record shape (t h w c)", "name": "builder", "version": "builder version"}


def is_made_up(stored: dict[str, Any]) -> bool:
    """Whether the run was trained on simulated scans, which no file is prepared like."""
    return stored["preprocessing"].get("reader") == "simulate"


def refuse_unlike(meta: DatasetMeta, stored: dict[str, Any], what: str) -> None:
    """Refuse a dataset of another modality, shape or dtype of its records, or preprocessing.

    A run on simulated scans, whose preprocessing is the simulation's knobs, takes whatever has its modality and shape.

    Args:
      meta: of the dataset.
      stored: ``spec["stored"]`` of the run's read-out.
      what: the dataset's name in the sentence.

    Raises:
      InputError: with what differs, there and here.
    """
    own = {**vars(meta), "scan_shape": list(meta.scan_shape)}
    compared = {name: (own[name], stored[name]) for name in _ALWAYS}
    if not is_made_up(stored):
        compared |= {name: (own[name], stored[name]) for name in ("name", "version")}
        theirs = stored["preprocessing"]
        compared |= {
            f"preprocessing ({name})": (meta.preprocessing.get(name), theirs.get(name))
            for name in sorted(meta.preprocessing.keys() | theirs.keys())
        }
    differing = [f"{_SAID.get(name, name)} is {a!r} and not {b!r}" for name, (a, b) in compared.items() if a != b]
    if differing:
        raise InputError(
            f"{what} is unlike what the run was trained on: its {'; its '.join(differing)}. Build it from the files "
            "with the options of the run's dataset (python -m tfds_builders.build --help)"
        )
