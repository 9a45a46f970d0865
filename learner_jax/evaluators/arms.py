"""Arms of a folder of evaluated runs: those that differ in their seed alone are one, and any two can be compared.

What is written into the folder is read by the report: ``arms.json`` (mean over seeds with intervals over patients, SD
over seeds) and ``comparison.json`` (the rows of a reference and how each other arm differs from it).
"""

import dataclasses
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learner_jax.config import Config, EvalConfig
from learner_jax.evaluators import artifacts
from learner_jax.evaluators.artifacts import HEADLINE, headline
from learner_jax.evaluators.comparing import differences, over_seeds
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.scoring import rows
from learner_jax.fields import from_dict, walk
from tfds_builders.errors import InputError

ARMS_FILE, COMPARISON_FILE = "arms.json", "comparison.json"
_OF_A_SEED = ("seed", "data.draw", "data.dir", "data.read_", "log_every", "checkpoint.", "eval.")


@dataclasses.dataclass(frozen=True)
class Arm:
    """Runs of one recipe, in the order of their seeds."""

    name: str
    runs: tuple[Path, ...]

    def predictions(self) -> list[Predictions]:
        """Test predictions of each run, as its newest evaluation stored them."""
        return [artifacts.read_predictions(run, artifacts.newest(run)) for run in self.runs]


def group(runs: Sequence[Path]) -> list[Arm]:
    """Arms of the evaluated runs: one for each recipe apart from its seed and draw of patients."""
    found: dict[tuple, list[tuple[int, Path]]] = {}
    for run in runs:
        if artifacts.newest(run) is not None:
            config = from_dict(Config, json.loads((run / "config.json").read_text()))
            recipe = tuple((path, value) for path, _, value in walk(config) if not path.startswith(_OF_A_SEED))
            found.setdefault(recipe, []).append((config.seed, run))
    every = [_arm([run for _, run in sorted(members)]) for members in found.values()]
    names = [arm.name for arm in every]
    # a-0 of one recipe and a-1 of another are not both called a
    return [arm if names.count(arm.name) == 1 else dataclasses.replace(arm, name=arm.runs[0].name) for arm in every]


def write_arms(folder: Path, arms: Sequence[Arm], config: EvalConfig) -> list[str]:
    """Write ``arms.json`` for the arms of several seeds, where there are any; returns the names of these."""
    several = [arm for arm in arms if len(arm.runs) > 1]
    if several:
        _write(folder / ARMS_FILE, {arm.name: _averaged(arm, config) for arm in several})
    return [arm.name for arm in several]


def write_comparison(folder: Path, arms: Sequence[Arm], reference: Arm, config: EvalConfig) -> dict[str, Any]:
    """Write ``comparison.json``: rows of the reference, and of each other arm its differences from it.

    p-values are adjusted (Holm) over the headline quantities of one arm; arms are not adjusted for one another.

    Raises:
      InputError: there is no other arm, or an arm was scored on other pairs.
    """
    others = [arm for arm in arms if not set(arm.runs) & set(reference.runs)]
    if not others:
        raise InputError(
            f"--compare {reference.name} names the only arm in {folder}; there is nothing to compare it with"
        )
    base = reference.predictions()
    found = {}
    for arm in others:
        apart = differences(arm.predictions(), base, HEADLINE, config)
        found[arm.name] = [dataclasses.asdict(one) for one in apart]
    values = {"reference": reference.name, **_averaged(reference, config), "differences": found}
    _write(folder / COMPARISON_FILE, values)
    return values


def told(comparison: dict[str, Any]) -> list[str]:
    """A line for each arm and quantity that differs, and one for each arm."""
    lines = []
    for arm, apart in comparison["differences"].items():
        row = next((one["row"] | one for one in apart if one["row"]["name"] == "pairwise_accuracy"), None)
        if row is not None and row["low"] is not None:
            sd = "" if row["sd_over_seeds"] is None else f", SD over seeds {row['sd_over_seeds']:.3f}"
            lines.append(
                f"{arm} - {comparison['reference']}: pairwise_accuracy {row['value']:+.3f} [{row['low']:+.3f}, "
                f"{row['high']:+.3f}]{sd}, p = {row['p']:.3g} ({row['p_holm']:.3g} over {len(apart)} quantities)"
            )
    return lines


def _averaged(arm: Arm, config: EvalConfig) -> dict[str, Any]:
    mean, spread = over_seeds(arm.predictions(), config)
    return {
        "runs": [run.name for run in arm.runs],
        "rows": [dataclasses.asdict(row) for row in headline(rows(mean, config))],
        "sd_over_seeds": {name: sd for (name, at), sd in spread.items() if not at},
        "all": [dataclasses.asdict(row) | {"sd": spread.get((row.name, row.at))} for row in rows(mean, config)],
    }


def _arm(runs: list[Path]) -> Arm:
    name = runs[0].name
    if len(runs) > 1:
        name = re.sub(r"[-_.]?(seed)?[-_.]?\d+$", "", name) or name
    return Arm(name, tuple(runs))


def _write(path: Path, values: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")
    beside.replace(path)
