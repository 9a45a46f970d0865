"""The runs of a study: name, folder, fields and command of each, determined by the sweep file alone."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learner_jax.sweep.plan import Study, Sweep, folder


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
      study, setting, arm: to which it belongs.
      seed, learning_rate: which run of its arm it is; a rate of None is the config's.
      fields: what it sets in the config, except for its steps.
    """

    study: Study
    setting: str
    arm: str
    seed: int
    learning_rate: float | None
    fields: dict[str, Any]

    @property
    def id(self) -> str:
        """``study/setting/arm-lr0.001-0``: its folder below that of the sweep."""
        rate = "" if self.learning_rate is None else f"-lr{self.learning_rate:g}"
        name = f"{folder(self.arm)}{rate}-{self.seed}"
        return f"{folder(self.study.name)}/{folder(self.setting)}/{name}"

    def command(self, out: Path, steps: int | None) -> list[str]:
        """The trainer's command, which scores only validation patients; ``steps`` is None while they are unknown."""
        flags = {**self.fields, **({} if steps is None else {"steps": steps}), "eval.patients": "val"}
        return [
            *(sys.executable, "-m", "learner_jax.main", "--config", self.study.config),
            *("--workdir", str(out / self.id)),
            *(f"--config.{path}={value}" for path, value in flags.items()),
        ]


def search(sweep: Sweep, study: Study, data: Path) -> list[Run]:
    """The runs by which learning rates are chosen: every rate of every arm in every setting, with the first seed."""
    return [
        _run(sweep, study, data, setting, arm, study.seeds[0], rate)
        for setting in study.settings
        for arm in study.arms
        for rate in study.learning_rates
    ]


def at_rates(sweep: Sweep, study: Study, data: Path, rates: Mapping[tuple[str, str], float | None]) -> list[Run]:
    """All seeds of every arm in every setting, at the rate of ``(setting, arm)``; those without one are left out."""
    return [
        _run(sweep, study, data, setting, arm, seed, rates[setting, arm])
        for setting in study.settings
        for seed in study.seeds
        for arm in study.arms
        if (setting, arm) in rates
    ]


def _run(sweep: Sweep, study: Study, data: Path, setting: str, arm: str, seed: int, rate: float | None) -> Run:
    fields = {**study.fields, **study.settings[setting], **study.arms[arm], "seed": seed, "data.draw": seed}
    if fields.get("data.dir") in sweep.datasets:
        fields["data.dir"] = str(data / fields["data.dir"])
    fields |= {} if rate is None else {"optim.learning_rate": rate}
    return Run(study, setting, arm, seed, rate, fields)


def used_datasets(sweep: Sweep, studies: Sequence[Study]) -> list[str]:
    """Names of the datasets that these studies read, each once."""
    fields = [one for study in studies for one in (study.fields, *study.settings.values())]
    named = {one["data.dir"] for one in fields if "data.dir" in one}
    return [name for name in sweep.datasets if name in named]
