"""Runs of the real command, in one process or in several on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[1]
FLAGS = {
    "config.backbone.name": "tsm_resnet18-test",
    "config.data.frames": 4,
    "config.data.size": 32,
    "config.batch_size": 16,
    "config.objective.projection": 8,
    "config.optim.learning_rate": 1e-4,  # rounding differs between numbers of processes and is not to grow
    "config.log_every": 1,
    "config.checkpoint.every": 5,
    "config.eval.batch_size": 16,
    "config.eval.bootstrap": 100,
    "config.eval.readouts": "none",  # beside the ridge: each takes a process time to compile
}


def free_port() -> int:
    """One on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """The command in ``n`` processes that share ``devices``; :meth:`said` tells what one of them has printed.

    ``workdir`` may be in a bucket, of which :meth:`steps` knows nothing.
    """

    def __init__(
        self,
        n: int,
        workdir: Any,
        dataset: Path,
        logs: Path,
        devices: int = 4,
        more: Iterable[str] = (),  # flags without a value
        only: Mapping[int, list[str]] = MappingProxyType({}),  # what one process alone is told
        **flags: object,
    ):
        port = free_port()
        given = FLAGS | {"config.data.dir": dataset} | {name.replace("__", "."): value for name, value in flags.items()}
        command = [sys.executable, "-m", "learner_jax.main", "--config", "configs/demo.py", "--workdir", str(workdir)]
        command += [f"--{name}={value}" for name, value in given.items()] + list(more)
        self.workdir, self._logs = workdir, []
        self.processes = []
        for process in range(n):
            several = [f"--coordinator_address=127.0.0.1:{port}", f"--num_processes={n}", f"--process_id={process}"]
            self._logs.append(logs / f"{workdir.name}-{n}-{process}-{time.monotonic_ns()}.log")
            with self._logs[-1].open("wb") as log:
                self.processes.append(
                    subprocess.Popen(
                        command + (several if n > 1 else []) + only.get(process, []),
                        cwd=ROOT,
                        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(devices // n)},
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )

    def said(self, process: int) -> str:
        """What a process has printed so far, without the greetings of its collectives."""
        lines = self._logs[process].read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("[Gloo]"))

    def steps(self) -> int:
        """Lines of metrics so far."""
        metrics = self.workdir / "metrics.jsonl"
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    def wait(self, seconds: float = 300) -> list[int]:
        """Exit codes, once all have ended."""
        deadline = time.monotonic() + seconds
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in self.processes]

    def until(self, true: Callable[[], bool], seconds: float = 300) -> None:
        """Wait for something while the run goes on."""
        deadline = time.monotonic() + seconds
        while not true():
            ended = [process.poll() for process in self.processes]
            assert ended == [None] * len(ended), self.said(0)[-3000:]
            assert time.monotonic() < deadline, self.said(0)[-3000:]
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL to all."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
        self.wait()


def committed(workdir: Path) -> list[int]:
    """Steps of the checkpoints that are there."""
    folders = (path.parent.name for path in workdir.glob("checkpoints/*/manifest.json"))
    return sorted(int(name) for name in folders if name.isdigit())
