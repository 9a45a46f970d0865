"""What a run will cost, before it runs."""

from collections.abc import Sequence
from pathlib import Path

from learner_jax.report import goodput
from learner_jax.sweep.budget import Model
from learner_jax.sweep.runs import Run
from learner_jax.sweep.settled import settled
from learner_jax.sweep.wording import magnitude
from tfds_builders.errors import InputError
from tfds_builders.wording import plural


class Costs:
    """Operations of runs; and hours, where one of the same arm and setting has run in this folder."""

    def __init__(self, runs: Sequence[Run], out: Path):
        self._speeds: dict[tuple[str, str, str], float] = {}
        for run in runs:
            for life in goodput.read(out / run.id)[-1:]:
                if life.examples_per_second:
                    self._speeds[_of_arm(run)] = life.examples_per_second

    def told(self, run: Run, steps: int) -> str:
        """``200 steps, 6,400 examples, 3.1 TFLOP, about 0.02 h``."""
        config, speed = settled(run, steps), self._speeds.get(_of_arm(run))
        examples = steps * config.batch_size
        try:
            operations = magnitude(Model.of(config).flops * steps)
        except InputError:
            operations = "operations unknown until its dataset is built"
        hours = f"about {examples / speed / 3600:.2g} h" if speed else "hours unknown until one of its arm has run"
        return f"{plural(steps, 'step')}, {examples:,} examples, {operations}, {hours}"


def _of_arm(run: Run) -> tuple[str, str, str]:
    return run.study.name, run.setting, run.arm
