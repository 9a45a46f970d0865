"""What a run will cost, estimated before it starts."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from learner_jax.report import goodput
from learner_jax.sweep.budget import Model
from learner_jax.sweep.runs import Run
from learner_jax.sweep.settled import settled
from learner_jax.sweep.wording import magnitude
from tfds_builders.errors import InputError
from tfds_builders.wording import plural


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a run; operations and hours are None if unknown."""

    steps: int
    examples: int
    flops: int | None
    hours: float | None

    def __str__(self) -> str:
        """``200 steps, 6,400 examples, 3.1 TFLOP, about 0.02 h``."""
        operations = "operations unknown until its dataset is built" if self.flops is None else magnitude(self.flops)
        hours = "hours unknown until one of its arm has run" if self.hours is None else f"about {self.hours:.2g} h"
        return f"{plural(self.steps, 'step')}, {self.examples:,} examples, {operations}, {hours}"


def total(costs: Sequence[Cost | None]) -> str:
    """``9 runs: 1,800 steps, 57,600 examples, 27 TFLOP, about 0.2 h (of 3)``, where hours are known for only three.

    Args:
      costs: of each run; None for a run whose steps are unknown.
    """
    parts = [
        ("steps", lambda n: f"{n:,} steps"),
        ("examples", lambda n: f"{n:,} examples"),
        ("flops", magnitude),
        ("hours", lambda n: f"about {n:.2g} h"),
    ]
    told = []
    for name, text in parts:
        known = [own for cost in costs if cost is not None and (own := getattr(cost, name)) is not None]
        told += [text(sum(known)) + (f" (of {len(known)})" if len(known) < len(costs) else "")] if known else []
    return f"{plural(len(costs), 'run')}: {', '.join(told) or 'their steps are not known yet'}"


class Costs:
    """Costs of runs; with hours if a run of the same arm and setting has run in this folder."""

    def __init__(self, runs: Sequence[Run], out: Path):
        self._speeds: dict[tuple[str, str, str], float] = {}
        for run in runs:
            for life in goodput.read(out / run.id)[-1:]:
                if life.examples_per_second:
                    self._speeds[_of_arm(run)] = life.examples_per_second

    def of(self, run: Run, steps: int) -> Cost:
        """The cost of a run of so many steps."""
        config, speed = settled(run, steps), self._speeds.get(_of_arm(run))
        examples = steps * config.batch_size
        try:
            flops = Model.of(config).flops * steps
        except InputError:
            flops = None
        return Cost(steps, examples, flops, examples / speed / 3600 if speed else None)


def _of_arm(run: Run) -> tuple[str, str, str]:
    return run.study.name, run.setting, run.arm
