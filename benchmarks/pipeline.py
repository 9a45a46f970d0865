"""How long a training step waits for its batch: the trainer's own loop, beside the input alone and the step alone.

    python -m benchmarks.pipeline --quick

Two nets on synthetic clips: the demo's, and TSM-ResNet-18. In each round every arm (`data.cache`, `data.read_threads`)
drains its stream as fast as it can, then runs the trainer's loop and program, reading the metrics of the step before as
the trainer does; the step alone takes its turn on one batch, again and again. `wait` is the share of the loop's time
spent in `next(batches)`, from the sixth step on. The page cache is warm.

Prints a table (medians of rounds; the range of the wait) and one line of JSON.
"""

import argparse
import dataclasses
import datetime
import functools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from learner_jax.host_memory import keep_pages

keep_pages()  # as training does

import jax
from absl import flags, logging

from benchmarks.prepared import Prepared, data_of, prepare, synthetic
from benchmarks.turns import in_turns
from configs.demo import get_config
from learner_jax.config import Config
from learner_jax.train import Action, loop

ARMS = (("none", 1), ("none", 2), ("none", 4), ("device", 2))  # data.cache, data.read_threads
SKIPPED = 5  # steps at the start of each measurement


@dataclasses.dataclass(frozen=True)
class Case:
    """
    Attributes:
      name: for the table.
      config: of the run, apart from its dataset.
      frames: in a record; the run sees ``config.data.frames`` of them.
      size: height and width of a record.
      steps: in each measurement, after those skipped.
    """

    name: str
    config: Config
    frames: int
    size: int
    steps: int


def cases(quick: bool) -> list[Case]:
    gpu = jax.default_backend() != "cpu"
    demo, clips = get_config(), get_config()
    clips.backbone.name, clips.batch_size, clips.data.frames, clips.data.size = "tsm_resnet18", 8, 8, 112
    if gpu:
        clips.batch_size, clips.data.frames = 64, 16
    many = 100 if gpu else 20
    return [
        Case("demo, 32 x 4x64x64", demo, 8, 64, many if quick else 3 * many),
        Case(
            f"TSM-ResNet-18, {clips.batch_size} x {clips.data.frames}x112x112",
            clips,
            16,
            112,
            many // 2 if quick else many,
        ),
    ]


class Timed:
    """An iterator that adds up how long its consumer waits, from a given element on."""

    def __init__(self, batches: Iterator[Any], first: int):
        self._batches, self._first, self._n = iter(batches), first, 0
        self.waited, self.began = 0.0, 0.0

    def __iter__(self) -> "Timed":
        return self

    def __next__(self) -> Any:
        now = time.perf_counter()
        if self._n == self._first:
            self.began = now
        batch = next(self._batches)
        if self._n >= self._first:
            self.waited += time.perf_counter() - now
        self._n += 1
        return batch


class Behind:
    """Reads the metrics of the step before, as the trainer's reporter does."""

    def __init__(self):
        self._pending: dict[str, Any] | None = None

    def __call__(self, step: int, state: Any, metrics: dict[str, Any]) -> None:
        before, self._pending = self._pending, metrics
        if before is not None:
            jax.device_get(before)


def in_loop(run: Prepared, steps: int, **data: Any) -> tuple[float, float]:
    """Seconds of a step in the trainer's loop, and the share of them spent waiting for the batch."""
    run.state = dataclasses.replace(
        run.state, step=jax.device_put(jax.numpy.zeros((), "int32"), run.state.step.sharding)
    )
    timed = Timed(run.stream(SKIPPED + steps, **data), SKIPPED)
    run.state = loop(run.state, timed, run.update, [Action(Behind(), every=1)], SKIPPED + steps, lambda step: False)
    jax.block_until_ready(run.state)
    taken = time.perf_counter() - timed.began
    return taken / steps, timed.waited / taken


def input_alone(run: Prepared, steps: int, **data: Any) -> float:
    """Seconds of a batch while nothing else runs."""
    start = 0.0
    for i, batch in enumerate(run.stream(SKIPPED + steps, **data)):
        jax.block_until_ready(batch)
        if i == SKIPPED - 1:
            start = time.perf_counter()
    return (time.perf_counter() - start) / steps


def step_alone(run: Prepared, steps: int) -> float:
    """Seconds of a step whose batch is already on the device."""
    batch, behind = next(iter(run.stream(1))), Behind()
    for i in range(SKIPPED + steps):
        if i == SKIPPED:
            jax.block_until_ready(run.state)
            start = time.perf_counter()
        run.state, metrics = run.update(run.state, batch)
        behind(i, run.state, metrics)
    jax.block_until_ready(run.state)
    return (time.perf_counter() - start) / steps


def measure(case: Case, folder: Path, patients: int, rounds: int) -> list[dict[str, Any]]:
    """The rows of the table for a case."""
    config = case.config
    config.steps, data = 10**6, data_of(synthetic(folder, patients, case.frames, case.size), 1, 1)
    config.data = dataclasses.replace(data, frames=config.data.frames, size=config.data.size)
    run = prepare(config)

    def input_and_loop(cache: str, read_threads: int) -> tuple[float, float, float]:
        data = {"cache": cache, "read_threads": read_threads}
        return input_alone(run, 2 * case.steps, **data), *in_loop(run, case.steps, **data)

    arms = {"step": lambda: step_alone(run, case.steps)} | {
        arm: functools.partial(input_and_loop, *arm) for arm in ARMS
    }
    taken: dict[Any, list[Any]] = in_turns(arms, rounds)
    b, alone = config.batch_size, statistics.median(taken.pop("step"))
    found = []
    for (cache, threads), values in taken.items():
        alone_in, step, wait = (statistics.median(column) for column in zip(*values, strict=True))
        waits = [value[2] for value in values]
        found.append(
            {
                "case": case.name,
                "cache": cache,
                "read_threads": threads,
                "input_only": b / alone_in,
                "step_only": b / alone,
                "in_loop": b / step,
                "wait": wait,
                "wait_range": [min(waits), max(waits)],
            }
        )
    return found


HEAD = """| | cache | threads | input alone, examples/s | step alone | in the loop | wait | range |
|---|---|---|---|---|---|---|---|"""


def row(found: dict[str, Any]) -> str:
    rates = [f"{found[name]:,.0f}" for name in ("input_only", "step_only", "in_loop")]
    low, high = found["wait_range"]
    cells = [found["case"], found["cache"], str(found["read_threads"]), *rates]
    cells += [f"{100 * found['wait']:.2f} %", f"{100 * low:.2f} to {100 * high:.2f} %"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.pipeline", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="3 rounds of few steps, about ten minutes")
    quick = parser.parse_args().quick
    flags.FLAGS.mark_as_parsed()  # grain reads an absl flag
    logging.set_verbosity(logging.ERROR)
    load = os.getloadavg()[0]
    print(
        f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, load {load:.1f} at the start, jax {jax.__version__}, "
        f"{datetime.date.today()}\n\n{HEAD}",
        flush=True,
    )
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(quick):
            for found in measure(case, Path(folder), 40, 3 if quick else 7):
                table.append(found)
                print(row(found), flush=True)
    worst = max(found["wait"] for found in table if found["cache"] == "none" and found["read_threads"] == 2)
    about = {"benchmark": "pipeline", "quick": quick, "load": load, "device": jax.devices()[0].device_kind}
    print(json.dumps({**about, "wait_default": worst, "rows": table}))


if __name__ == "__main__":
    main()
