"""The manifest of a checkpoint: size and sha256 of each of its files, by which a changed byte is found."""

import hashlib
import json
from pathlib import Path
from typing import Any

from etils import epath

from learner_jax import bucket

FILE = "manifest.json"
_LATE = "_CHECKPOINT_METADATA"  # timestamps, which Orbax adds at the commit; not needed to restore


def write(folder: Path | epath.Path) -> None:
    """Write the manifest of a checkpoint, over all files that Orbax leaves alone when it commits."""
    if bucket.is_remote(folder):
        names = bucket.names(folder)
    else:
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    marks = {name: _mark(folder / name) for name in names if name.rpartition("/")[2] != _LATE}
    (folder / FILE).write_text(json.dumps(marks, indent=1))


def fault(folder: Path | epath.Path) -> str:
    """What is wrong with a checkpoint; empty if it matches its manifest."""
    try:
        marks = json.loads((folder / FILE).read_text())
        wrong = [name for name, mark in marks.items() if not (folder / name).is_file() or _mark(folder / name) != mark]
    except (OSError, ValueError, AttributeError) as fault:
        return f"its manifest cannot be read ({fault})"
    return f"{len(wrong)} of {len(marks)} files do not match its manifest, the first is {wrong[0]}" if wrong else ""


def _mark(path: Path | epath.Path) -> dict[str, Any]:
    opened = bucket.files_of(path).open(str(path), "rb") if bucket.is_remote(path) else path.open("rb")
    with opened as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}
