"""Write text files atomically, and read JSON objects with a helpful error."""

import json
import os
from pathlib import Path
from typing import Any

from tfds_builders.errors import InputError


def write_whole(path: Path, text: str) -> None:
    """Write beside ``path`` and rename, so that a reader finds either the old text or the new, even after a kill."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read the JSON object in a file.

    Raises:
      InputError: it cannot be read or holds something else; ``remedy`` tells the user what to do.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, not an object")
    except (OSError, ValueError) as fault:
        raise InputError(f"{path} cannot be read ({fault}). {remedy}") from fault
    return found
