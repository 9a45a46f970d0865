"""metrics.jsonl: one JSON object per line, ``{"step": 120, "loss": 0.41, …}``."""

import json
import math
import os
import pathlib
import typing
from collections.abc import Mapping

from tfds_builders.errors import InputError


class MetricsWriter:
    """Appends the metrics of one run to ``path``.

    Every line reaches the operating system before :meth:`write` returns, so a killed process loses at most the line it
    was writing. On resuming, lines after ``resume_step`` are dropped, so the finished file is that of an undisturbed
    run.

    Args:
      path: the file; its folder is made if missing.
      resume_step: step of the checkpoint from which training continues; 0 starts an empty file.
    """

    def __init__(self, path: str | os.PathLike, resume_step: int = 0):
        self._path = pathlib.Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = _lines_up_to(self._path, resume_step) if resume_step else []
        beside = self._path.with_name(self._path.name + ".tmp")
        beside.write_bytes(b"".join(kept))
        os.replace(beside, self._path)
        self._file = self._path.open("ab")

    def write(self, step: int, values: Mapping[str, typing.Any]) -> None:
        """Append one line; ``values`` are scalars of any library, and NaN and infinity are written as null."""
        line = {"step": int(step), **{name: _finite(value) for name, value in values.items()}}
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def sync(self) -> None:
        """Force the lines onto the disk; called before a checkpoint is committed, so that it has its metrics."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_metrics(path: str | os.PathLike) -> list[dict[str, typing.Any]]:
    """All lines of a metrics.jsonl, oldest first; empty for a missing file, and without an unfinished last line.

    Raises:
      InputError: a finished line is not a JSON object with a step, which a killed process cannot cause.
    """
    return [values for _, values in _read(pathlib.Path(path))]


def newest_metrics(path: str | os.PathLike, count: int) -> list[dict[str, typing.Any]]:
    """At most the last ``count`` lines of a metrics.jsonl, oldest first, without reading those before them.

    Raises:
      InputError: as :func:`read_metrics`.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        reach, text = 4096, b""
        while text.count(b"\n") <= count and len(text) < size:  # one more newline: the first line may be cut
            reach = min(2 * reach, size)
            file.seek(size - reach)
            text = file.read(reach)
    first = 1 if len(text) < size else 0
    newest = _whole_lines(text)[first:][-count:]
    return [values for _, values in _parse(f"{path}, of its last {len(newest)} lines number", newest)]


def _read(path: pathlib.Path) -> list[tuple[bytes, dict[str, typing.Any]]]:
    """Each line as it is written, and its values."""
    return _parse(f"{path} line", _whole_lines(path.read_bytes())) if path.exists() else []


def _whole_lines(text: bytes) -> list[bytes]:
    # A kill may leave a last line without newline; even if it parses ("step": 1 of 120), it is not whole.
    return [line for line in text.splitlines(keepends=True) if line.endswith(b"\n")]


def _parse(where: str, lines: list[bytes]) -> list[tuple[bytes, dict[str, typing.Any]]]:
    parsed = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if not isinstance(values["step"], int):
                raise TypeError("step is not an integer")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{where} {number} is not a line of metrics ({error}); "
                "a line is a JSON object with a step. Delete that line, or the file."
            ) from error
        parsed.append((line, values))
    return parsed


def _lines_up_to(path: pathlib.Path, step: int) -> list[bytes]:
    return [line for line, values in _read(path) if values["step"] <= step]


def _finite(value: typing.Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
