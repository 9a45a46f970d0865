"""Text files that are either whole or not there."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write beside ``path`` and rename: whoever reads finds the old text or the new one, also after a kill."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
