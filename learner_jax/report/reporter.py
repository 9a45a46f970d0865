"""Metrics of the steps, from the device to the terminal and to metrics.jsonl."""

import contextlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from learner_jax.config import Config
from learner_jax.distributed import first
from learner_jax.report import collapse
from learner_jax.report.progress import Progress
from learner_jax.report.writer import MetricsWriter

Metrics = dict[str, Any]


class Reporter:
    """Shows and writes the metrics of the step before, so that the host never waits for the step that is running.

    It says so, once, when the newest lines show a collapse.
    """

    def __init__(self, writer: MetricsWriter, progress: Progress, every: int, last: int, objective: str):
        self._writer, self._progress, self._every, self._last = writer, progress, every, last
        self._pending: tuple[int, Metrics] | None = None
        self._newest: deque[dict[str, float]] = deque(maxlen=collapse.PATIENCE)
        self._objective, self._warned = objective, False

    def __call__(self, step: int, state: object, metrics: Metrics) -> None:
        before, self._pending = self._pending, (step, metrics)
        self._report(before)
        if step == self._last:
            self.flush()

    def say(self, text: str) -> None:
        """A line of its own on the terminal."""
        self._progress.say(text)

    def flush(self) -> None:
        """Report what is pending, and have it on disk."""
        pending, self._pending = self._pending, None
        self._report(pending)
        self._writer.sync()

    def _report(self, item: tuple[int, Metrics] | None) -> None:
        if item is None:
            return
        step, metrics = item
        self._progress.update(step, float(jax.device_get(metrics["loss"])))
        if step % self._every == 0 or step == self._last:
            line = {name: float(value) for name, value in jax.device_get(metrics).items()}
            self._writer.write(step, line)
            self._newest.append({"step": step, **line})
            fault = "" if self._warned else collapse.diagnose(list(self._newest), self._objective)
            if fault:
                self._progress.say(f"warning: {fault}")
                self._warned = True


class Silent:
    """In the place of a :class:`Reporter` on the processes that do not speak."""

    def __call__(self, step: int, state: object, metrics: Metrics) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


@contextlib.contextmanager
def reporting(config: Config, workdir: Path, start: int) -> Iterator[Reporter | Silent]:
    """A reporter to the terminal and to ``workdir/metrics.jsonl``, from step ``start`` on; only one process speaks."""
    if not first():
        yield Silent()
        return
    with (
        MetricsWriter(workdir / "metrics.jsonl", start) as writer,
        Progress(config.steps, start, config.batch_size, workdir.name) as progress,
    ):
        yield Reporter(writer, progress, config.log_every, config.steps, config.objective.name)
