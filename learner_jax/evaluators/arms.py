"""Arms of a folder of evaluated runs: runs that differ only in their seed form one arm, and arms can be compared.

Writes what the report reads: ``arms.json`` (means over seeds with intervals over patients, and SDs over seeds) and
``comparison.json`` (the rows of a reference arm and how each other arm differs from it).
"""

import collections
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learner_jax.config import Config, EvalConfig
from learner_jax.evaluators import artifacts, places
from learner_jax.evaluators.artifacts import HEADLINE, headline
from learner_jax.evaluators.comparing import Averaged, differences, over_seeds
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
    seeds: tuple[int, ...]

    def averaged(self, config: EvalConfig) -> Averaged:
        """Its quantities averaged over the runs, from the test predictions stored with each run's newest evaluation."""
        predictions = [artifacts.read_predictions(run, places.newest(run)) for run in self.runs]
        return over_seeds(predictions, config, self.seeds)


def group(runs: Sequence[Path]) -> list[Arm]:
    """Arms of the evaluated runs.

    Runs belong to one arm if they saw the same records and split, wherever the dataset lies, and their configs differ
    only in the seed, the draw of patients, and how they log, save, read and score; how they average views counts. A
    second run with the same seed and draw is an arm of its own, since it would count twice in the mean.
    """
    found: dict[tuple, list[tuple[int, Path]]] = {}
    times: collections.Counter[tuple] = collections.Counter()
    for run in runs:
        if (step := places.newest(run)) is not None:
            config = from_dict(Config, json.loads((run / "config.json").read_text()))
            marks = artifacts.read_scores(run, step)["fingerprints"]
            fields = ((path, value) for path, _, value in walk(config) if _of_the_recipe(path))
            recipe = (marks["data"], marks["split"], *fields)
            again = (config.seed, config.data.draw, *recipe)
            found.setdefault((times[again], *recipe), []).append((config.seed, run))
            times[again] += 1
    every = [_arm(sorted(members)) for members in found.values()]
    names = [arm.name for arm in every]
    # a-0 of one recipe and a-1 of another are not both called a
    return [arm if names.count(arm.name) == 1 else dataclasses.replace(arm, name=arm.runs[0].name) for arm in every]


def _of_the_recipe(path: str) -> bool:
    return path == "eval.fusion" or not path.startswith(_OF_A_SEED)


def write_arms(folder: Path, arms: Mapping[Arm, Averaged], config: EvalConfig) -> list[str]:
    """Write ``arms.json`` for the arms of several seeds, and return their names.

    Without such arms nothing is written, unless an earlier file has to be emptied.
    """
    several = {arm.name: _values(arm, averaged, config) for arm, averaged in arms.items() if len(arm.runs) > 1}
    if several or (folder / ARMS_FILE).exists():
        artifacts.write_json(folder / ARMS_FILE, several)
    return list(several)


def write_comparison(folder: Path, arms: Mapping[Arm, Averaged], reference: Arm, config: EvalConfig) -> dict[str, Any]:
    """Write ``comparison.json``, the rows of the reference and each other arm's differences from it, and return it.

    p-values are adjusted (Holm) over the headline quantities of one arm, but not over arms.

    Raises:
      InputError: there is no other arm, or an arm was scored on other pairs.
    """
    others = {arm: averaged for arm, averaged in arms.items() if not set(arm.runs) & set(reference.runs)}
    if not others:
        raise InputError(
            f"--compare {reference.name} names the only arm in {folder}, so there is nothing to compare it with"
        )
    base = arms[reference] if reference in arms else reference.averaged(config)
    found = {
        arm.name: [dataclasses.asdict(one) for one in differences(averaged, base, HEADLINE, config)]
        for arm, averaged in others.items()
    }
    values = {"reference": reference.name, **_values(reference, base, config), "differences": found}
    artifacts.write_json(folder / COMPARISON_FILE, values)
    return values


def told(comparison: dict[str, Any]) -> list[str]:
    """One line per arm: how its pairwise accuracy, or else its first quantity, differs from the reference's."""
    lines = []
    for arm, apart in comparison["differences"].items():
        named = {one["row"]["name"]: one["row"] | one for one in apart}
        row = named.get("pairwise_accuracy") or next(iter(named.values()), None)
        if row is not None:
            sd = "" if row["sd_over_seeds"] is None else f", SD over seeds {row['sd_over_seeds']:.3f}"
            ends = "" if None in (row["low"], row["high"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
            lines.append(
                f"{arm} - {comparison['reference']}: {row['name']} {row['value']:+.3f}{ends}{sd}, "
                f"p = {row['p']:.3g} ({row['p_holm']:.3g} over {len(apart)} quantities)"
            )
    return lines


def _values(arm: Arm, averaged: Averaged, config: EvalConfig) -> dict[str, Any]:
    lines, spread = rows(averaged.estimates, config), averaged.spread
    return {
        "runs": [run.name for run in arm.runs],
        "rows": [dataclasses.asdict(row) for row in headline(lines)],
        "sd_over_seeds": {name: sd for (name, at), sd in spread.items() if not at},
        "all": [dataclasses.asdict(row) | {"sd": spread.get((row.name, row.at))} for row in lines],
    }


def _arm(members: list[tuple[int, Path]]) -> Arm:
    seeds, runs = zip(*members, strict=True)
    name = runs[0].name
    if len(runs) > 1:
        name = re.sub(r"[-_.]?(seed)?[-_.]?\d+$", "", name) or name
    return Arm(name, runs, seeds)
