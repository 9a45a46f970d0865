"""Step metrics on their way from the device to the terminal, metrics.jsonl, the trackers and goodput.json."""

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from learner_jax.config import Config
from learner_jax.evaluators import artifacts, places
from learner_jax.report import collapse, profiler, trackers
from learner_jax.report.bookkeeper import Bookkeeper
from learner_jax.report.progress import Progress
from learner_jax.report.trackers import Sent
from learner_jax.report.writer import MetricsWriter, newest_metrics

Metrics = dict[str, Any]


class Reporter:
    """Shows and writes the metrics of the previous step, so that the host never waits for the step that is running.

    Warns, once, when the newest lines show a collapse. Trackers get the lines of metrics.jsonl, the speed, and the
    headline scores of each evaluation.
    """

    def __init__(
        self,
        config: Config,
        workdir: Path,
        writer: MetricsWriter,
        progress: Progress,
        books: Bookkeeper,
        sent: Sequence[Sent],
    ):
        self._config, self._workdir = config, workdir
        self._writer, self._progress, self._books, self._sent = writer, progress, books, sent
        self._pending: tuple[int, Metrics] | None = None
        self._newest: deque[dict[str, float]] = deque(maxlen=collapse.PATIENCE)
        self._warned = False

    def __call__(self, step: int, state: object, metrics: Metrics) -> None:
        before, self._pending = self._pending, (step, metrics)
        self._report(before)
        if step == self._config.steps:
            self.flush()

    def say(self, text: str) -> None:
        """Print a line of its own on the terminal."""
        self._progress.say(text)

    def flush(self) -> None:
        """Report what is pending, and write it to disk."""
        pending, self._pending = self._pending, None
        self._report(pending)
        self._writer.sync()

    def saved(self) -> None:
        """A checkpoint is being written: write goodput.json as well."""
        self._books.write()

    def evaluated(self, step: int) -> None:
        """Show the scores of a step, which are in the workdir, and send them to the trackers."""
        patients = self._config.eval.patients
        scores = artifacts.read_scores(self._workdir, step, patients)
        self.say(f"step {step}: {artifacts.in_words(scores)}")
        self._send(step, {f"{places.PLACES[patients]}/{row['name']}": row["value"] for row in scores["rows"]})

    def _report(self, item: tuple[int, Metrics] | None) -> None:
        if item is None:
            return
        step, metrics = item
        due = step % self._config.log_every == 0 or step == self._config.steps
        fetched = jax.device_get(metrics if due else {name: metrics[name] for name in ("loss", "skipped")})
        line = {name: float(value) for name, value in fetched.items()}
        self._books.finished(step, line["loss"], int(line["skipped"]))
        self._progress.update(step, line["loss"], self._books.input_wait)
        self._books.beat(self._progress.rate)
        if due:
            self._writer.write(step, line)
            speed = {"examples_per_second": self._progress.rate, "input_wait": self._books.input_wait}
            self._send(step, line | {f"speed/{name}": value for name, value in speed.items()})
            self._newest.append({"step": step, **line})
            fault = "" if self._warned else collapse.diagnose(list(self._newest), self._config.objective.name)
            if fault:
                self._progress.say(f"warning: {fault}")
                self._warned = True

    def _send(self, step: int, values: dict[str, float | None]) -> None:
        for tracker in self._sent:
            tracker.write(step, values)


class Silent:
    """Stands in for a :class:`Reporter` on all processes but the first."""

    def __call__(self, step: int, state: object, metrics: Metrics) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass

    def saved(self) -> None:
        pass

    def evaluated(self, step: int) -> None:
        pass


def check_reporting(config: Config) -> None:
    """Refuse, before anything is written, what is known to fail.

    Raises:
      InputError: a tracker is unknown or not installed, or ``config.profile`` names no steps of the run.
    """
    trackers.chosen(config.trackers)
    profiler.window(config)


@contextlib.contextmanager
def reporting(
    config: Config, workdir: Path, start: int, books: Bookkeeper | None, afterwards: contextlib.ExitStack
) -> Iterator[Reporter | Silent]:
    """A reporter for the steps after ``start``; silent on processes without ``books``.

    The trackers are closed with ``afterwards``, not with this context.
    """
    if books is None:
        yield Silent()
        return
    seen = newest_metrics(workdir / "metrics.jsonl", 1)
    books.begin(start, max((line["step"] for line in seen), default=0))
    with (
        MetricsWriter(workdir / "metrics.jsonl", start) as writer,
        Progress(config.steps, start, config.batch_size, workdir.name) as progress,
    ):
        sent = afterwards.enter_context(trackers.opened(config, workdir, start, progress.say))
        yield Reporter(config, workdir, writer, progress, books, sent)
