"""The records of a sweep in its folder: what was to be run, and when test patients were opened."""

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfds_builders.errors import InputError
from tfds_builders.whole import write_whole

_PLAN, _OPENED = "sweep.json", "opened.jsonl"


def write_studies(out: Path, studies: Sequence[dict[str, Any]], order: Sequence[str]) -> None:
    """Write what the board needs to know about studies; the file's other studies, named in ``order``, are kept."""
    known = {study["name"]: study for study in read_studies(out)} if (out / _PLAN).exists() else {}
    known |= {study["name"]: study for study in studies}
    kept = [known[name] for name in order if name in known]
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / _PLAN, json.dumps({"studies": kept}, indent=1) + "\n")


def read_studies(out: Path) -> list[dict[str, Any]]:
    """Read what :func:`write_studies` has written.

    Raises:
      InputError: no sweep was run in ``out``, or the file is damaged.
    """
    path = out / _PLAN
    if not path.is_file():
        raise InputError(f"{out} holds no {_PLAN}; python -m learner_jax.sweep run FILE --out {out} writes it")
    try:
        return json.loads(path.read_text())["studies"]
    except (ValueError, KeyError, TypeError) as fault:
        raise InputError(
            f"{path} cannot be read ({fault}). Remove it; python -m learner_jax.sweep run FILE --out {out} writes it"
        ) from fault


def note_opened(out: Path, names: Path, runs: Sequence[str]) -> None:
    """Record, before it happens, that these runs are scored on test patients, as the file ``names`` asks."""
    line = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "names": hashlib.sha256(names.read_bytes()).hexdigest(),
        "runs": list(runs),
    }
    path = out / _OPENED
    before = path.read_text() if path.exists() else ""
    write_whole(path, f"{before}{json.dumps(line)}\n")  # appending could leave half a line after a kill


def read_opened(out: Path) -> list[dict[str, Any]]:
    """Each time that test patients were opened, with ``time`` and ``runs``.

    Continuing with the same file of names after an interruption does not count as another time.

    Raises:
      InputError: the file is damaged, which a killed process cannot cause.
    """
    path = out / _OPENED
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    except ValueError as fault:
        raise InputError(
            f"{path} cannot be read ({fault}); it records when test patients were opened: restore it"
        ) from fault
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        earlier = found.pop(line["names"], {"runs": []})
        runs = dict.fromkeys([*earlier["runs"], *line["runs"]])
        found[line["names"]] = line | {"runs": list(runs)}
    return list(found.values())
