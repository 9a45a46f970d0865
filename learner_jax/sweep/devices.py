"""Divide this machine among runs, so that no two runs are on one device."""

import dataclasses
import itertools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class Slot:
    """One GPU, or some CPU cores that no other slot has.

    Attributes:
      environment: variables for a process in this slot.
      cores: to which the process is restricted; empty: all.
    """

    environment: Mapping[str, str]
    cores: Sequence[int] = ()

    def start(self, command: Sequence[str], **options: object) -> subprocess.Popen:
        """Start a process in this slot, with options of ``subprocess.Popen``."""
        if self.cores and shutil.which("taskset"):
            command = ["taskset", "--cpu-list", ",".join(map(str, self.cores)), *command]
        return subprocess.Popen(command, env=os.environ | self.environment, **options)


def slots(workers: int = 0) -> list[Slot]:
    """One slot for each run that may go on at the same time.

    Args:
      workers: number of slots; 0: one per GPU or, without GPUs, a single one with all cores.

    Raises:
      InputError: there are more workers than GPUs or cores, or more than one worker for TPUs.
    """
    gpus, cores = visible_gpus(), _cores()
    if gpus:
        if workers > len(gpus):
            raise InputError(f"--workers {workers}: two runs are never on one device; GPUs here: {len(gpus)}")
        return [Slot({"CUDA_VISIBLE_DEVICES": gpu}) for gpu in gpus[: workers or None]]
    if workers > 1 and tpus():
        raise InputError(f"--workers {workers}: one process takes all TPUs of a host, and no two runs share a device")
    if workers > len(cores):
        raise InputError(f"--workers {workers}: two runs are never on one device; cores here: {len(cores)}")
    if workers < 2:
        return [Slot({})]
    return [Slot({}, cores[at::workers]) for at in range(workers)]


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def tpus() -> bool:
    """Whether JAX would find TPUs here."""
    return not os.environ.get("JAX_PLATFORMS", "").startswith("cpu") and any(Path("/dev").glob("accel[0-9]*"))


def visible_gpus() -> list[str]:
    """The GPUs that a process may use, as names for ``CUDA_VISIBLE_DEVICES``."""
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        return []
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:  # empty, or -1: none of them
        return [name for name in itertools.takewhile(lambda name: name != "-1", named.split(",")) if name]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False).stdout
    return [str(at) for at, _ in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]
