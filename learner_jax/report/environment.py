"""WORKDIR/environment.json: which versions, on which devices, from which commit a run was trained.

A list, since a run may go on elsewhere: a process adds what it finds where that differs from the last entry. No
names of people, machines or folders are in it.
"""

import importlib.metadata
import json
import pathlib
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

from tfds_builders.errors import InputError
from tfds_builders.whole import write_whole

FILE = "environment.json"
PACKAGES = ("learner-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "polars")
_ROOT = pathlib.Path(__file__).parents[2]


def note(workdir: pathlib.Path, devices: Sequence[Any], processes: int = 1) -> None:
    """Add the environment of this process to those of the run, unless it is the last of them.

    Args:
      devices: of the mesh; JAX's, of one kind.
      processes: that share them.
    """
    found, here = read(workdir), current()
    here |= {"devices": len(devices), "device_kind": str(devices[0].device_kind), "processes": processes}
    if not found or found[-1] != here:
        write_whole(workdir / FILE, json.dumps([*found, here], indent=1) + "\n")


def current() -> dict[str, Any]:
    """Versions, the system, and the commit of this package; what is not known is left out."""
    here = {"python": platform.python_version(), **versions(PACKAGES)}
    here["system"] = f"{platform.system()} {platform.machine()}"
    return here | ({"commit": found} if (found := commit()) else {})


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Of the checkout that this package lies in, with ``-dirty`` where a tracked file differs; empty: it is installed.

    A package that is installed below somebody's own repository is not told to be of that.
    """
    if not (_ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def read(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The environments of a run, oldest first; none where there is no file.

    Raises:
      InputError: the file is damaged, which no kill can cause.
    """
    path = workdir / FILE
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text())
        return [dict(one) for one in found]
    except (OSError, ValueError, TypeError) as fault:
        raise InputError(f"{path} cannot be read ({fault}); it tells of versions alone: remove it") from fault
