"""WORKDIR/environment.json: the versions, devices and commit with which a run was trained.

It is a list, since a run may continue elsewhere: a process adds its environment where that differs from the last entry.
It contains no names of people, machines or folders.
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
    """Add the environment of this process to those of the run, unless it is the same as the last one.

    Args:
      devices: the JAX devices of the mesh, all of one kind.
      processes: number of processes that share them.
    """
    found, here = read(workdir), current()
    here |= {"devices": len(devices), "device_kind": str(devices[0].device_kind), "processes": processes}
    if not found or found[-1] != here:
        write_whole(workdir / FILE, json.dumps([*found, here], indent=1) + "\n")


def current() -> dict[str, Any]:
    """Versions, the system and the commit of this package; what is unknown is left out."""
    here = {"python": platform.python_version(), **versions(PACKAGES)}
    here["system"] = f"{platform.system()} {platform.machine()}"
    return here | ({"commit": found} if (found := commit()) else {})


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Commit of the checkout that contains this package, with ``-dirty`` if a tracked file differs.

    Empty for an installed package, even if it is installed inside somebody's own repository.
    """
    if not (_ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def read(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The environments of a run, oldest first; empty if there is no file.

    Raises:
      InputError: the file is damaged, which a killed process cannot cause.
    """
    path = workdir / FILE
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text())
        return [dict(one) for one in found]
    except (OSError, ValueError, TypeError) as fault:
        raise InputError(f"{path} cannot be read ({fault}); it only records versions: remove it") from fault
