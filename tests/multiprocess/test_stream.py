"""Two processes on loopback see the global batches, and the losses, that one process sees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.command import ROOT, free_port


def run(n_processes: int, dataset: Path, folder: Path) -> list[dict]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
    outputs = [folder / f"{process}-of-{n_processes}.json" for process in range(n_processes)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.multiprocess.one_process"]
            + [str(argument) for argument in (process, n_processes, port, dataset, output)],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process, output in enumerate(outputs)
    ]
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    return [json.loads(output.read_text()) for output in outputs]


@pytest.mark.multiprocess
def test_two_processes_see_the_global_batches_and_losses_of_one(tiny_dataset, tmp_path):
    [one] = run(1, tiny_dataset, tmp_path)
    first, second = run(2, tiny_dataset, tmp_path)
    assert [a + b for a, b in zip(first["local"], second["local"], strict=True)] == one["local"]
    assert first["global"] == second["global"] == one["global"] == one["local"]
    np.testing.assert_allclose(first["losses"], one["losses"], rtol=1e-5)
    assert first["losses"] == second["losses"]
