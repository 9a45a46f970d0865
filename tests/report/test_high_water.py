from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from learner_jax.report import high_water


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's own figure is there on Linux alone")
def test_host_memory_is_what_the_kernel_says():
    np.ones(2**24)  # 128 MiB, given back at once
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert high_water.of_host() == pytest.approx(1024 * int(line.split()[1]), rel=0.01)
    assert high_water.of_host() > 2**27


def test_device_memory_is_that_of_the_fullest_one_that_tells():
    device = lambda stats: SimpleNamespace(memory_stats=lambda: stats)  # noqa: E731
    assert high_water.of_devices(jax.local_devices()) is None  # CPUs do not tell
    assert high_water.of_devices([device({"peak_bytes_in_use": 3}), device(None), device({"x": 1})]) == 3
    assert high_water.of_devices([device({"peak_bytes_in_use": 3}), device({"peak_bytes_in_use": 5})]) == 5
