"""The datasets of a sweep, each built once by the commands in the sweep file."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from learner_jax.sweep.plan import Sweep
from tfds_builders.errors import InputError
from tfds_builders.whole import write_whole

REAL = "LEARNER_REAL_DATA"  # environment variable that names the folder of the real scans


def real() -> Path | None:
    """The folder of the real scans; None if the environment names none that exists."""
    folder = os.environ.get(REAL, "")
    return Path(folder) if folder and Path(folder).is_dir() else None


def commands(sweep: Sweep, name: str, data: Path) -> list[list[str]]:
    """The commands that build a dataset into ``data/name``, with this Python."""
    places = {"dir": shlex.quote(str(data / name)), "real": shlex.quote(str(real() or f"${REAL}"))}
    return [[sys.executable, "-m", *shlex.split(text.format(**places))] for text in sweep.datasets[name]]


def build(sweep: Sweep, name: str, data: Path) -> None:
    """Build a dataset, unless the same commands have built it already.

    Raises:
      InputError: other commands built what is there, or one of them fails.
    """
    told, stamp = "\n".join(sweep.datasets[name]) + "\n", data / f"{name}.built"
    if stamp.exists():
        if stamp.read_text() == told:
            return
        raise InputError(
            f"{data / name} was built by other commands than the sweep file gives now ({stamp} holds them). Give the "
            f"dataset another name, or remove {stamp} and {data / name}"
        )
    stamp.parent.mkdir(parents=True, exist_ok=True)
    for command in commands(sweep, name, data):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode:
            lines = done.stdout.strip().splitlines() or ["it says nothing"]
            raise InputError(f"the dataset {name!r} cannot be built: {shlex.join(command[1:])}: {lines[-1]}")
    write_whole(stamp, told)
