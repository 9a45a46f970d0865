"""Peak memory of a process and of its devices."""

import resource
import sys
from collections.abc import Iterable
from typing import Any


def of_host() -> int:
    """Peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # KiB on Linux, bytes on macOS


def of_devices(devices: Iterable[Any]) -> int | None:
    """Peak bytes in use on one of the JAX devices so far; None if none of them reports it, as on CPUs."""
    peaks = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in devices]
    return max((peak for peak in peaks if peak is not None), default=None)
