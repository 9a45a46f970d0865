"""Where every arm of a sweep stands: its scores, their intervals and their cost, as the board shows them."""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from learner_jax.evaluators import places
from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.statistics.multiple import holm
from learner_jax.report import goodput
from learner_jax.report.arms import Arm
from learner_jax.report.comparison import Comparison, Difference
from learner_jax.report.floors import sharing
from learner_jax.report.runs import Run
from learner_jax.report.study import Study, read_study
from learner_jax.report.titles import CEILING, CHANCE, FLOORS, listed
from learner_jax.sweep.account import read_opened, read_studies
from learner_jax.sweep.plan import folder
from learner_jax.sweep.progress import validation_score


@dataclasses.dataclass(frozen=True)
class Standing:
    """One arm in one setting, or a floor of the setting.

    Attributes:
      study, setting, arm: what it is about.
      kind: ``arm``, ``floor`` or ``ceiling``.
      patients: who was scored, ``test`` or ``val``; for a floor, ``test``.
      runs: number of seeds that are scored, out of ``seeds``.
      learning_rate: the chosen one; None: the config's.
      row: the score that the study chooses by, as a mean over seeds with its interval over patients; on validation
        patients without an interval. None: nothing is scored yet.
      spread: SD over seeds; None for a single seed.
      also: the study's further scores, on test patients; for floors, means over draws.
      of_ceiling: share of the way from chance to the noise ceiling; None if one of the two is unknown.
      difference: from the reference, on the same patients; None for the reference and floors, and before test patients
        are opened.
      p_holm: p-value of the difference, adjusted over the arms of the setting (Holm).
      parameters, flops: of the backbone, and of training one run; None for a floor.
      examples_per_second, mfu: of training; medians over runs.
      device_hours: of all its chosen runs, on all devices.
      hours_of_a_run: device-hours of one run, the mean over finished runs.
    """

    study: str
    setting: str
    arm: str
    kind: str
    patients: str
    runs: int
    seeds: int
    learning_rate: float | None = None
    row: Row | None = None
    spread: float | None = None
    also: Sequence[Row] = ()
    of_ceiling: float | None = None
    difference: Difference | None = None
    p_holm: float | None = None
    parameters: int | None = None
    flops: int | float | None = None
    examples_per_second: float | None = None
    mfu: float | None = None
    device_hours: float | None = None
    hours_of_a_run: float | None = None

    @property
    def value(self) -> float | None:
        """Value of the score."""
        return None if self.row is None else self.row.value


@dataclasses.dataclass(frozen=True)
class Scoreboard:
    """A sweep at one moment.

    Attributes:
      studies: from ``sweep.json``.
      standings: in the order of studies, settings and arms; floors and ceiling follow the arms of their setting.
      opened: each time that test patients were opened, from ``opened.jsonl``.
      search_hours: device-hours of the runs whose learning rate was not chosen.
      unfinished: ids of chosen runs that are not scored on validation patients.
      untried: ids of search runs that are not scored on validation patients.
    """

    studies: Sequence[dict[str, Any]]
    standings: Sequence[Standing]
    opened: Sequence[dict[str, Any]]
    search_hours: float
    unfinished: Sequence[str]
    untried: Sequence[str]

    def of(self, study: str, setting: str | None = None) -> list[Standing]:
        """The standings of a study, or of one of its settings."""
        return [one for one in self.standings if one.study == study and setting in (None, one.setting)]


def read(out: Path) -> Scoreboard:
    """The scoreboard of a sweep's folder.

    Raises:
      InputError: no sweep was run there, or a file is damaged.
    """
    studies = read_studies(out)
    chosen = [run for study in studies for run in study["runs"]]
    known = {run["id"] for run in chosen}
    tried = [run for study in studies for run in study["tried"] if run["id"] not in known]
    unfinished, untried = (
        [run["id"] for run in runs if not places.exists(out / run["id"], run["steps"], "val")]
        for runs in (chosen, tried)
    )
    standings = [one for study in studies for setting in study["settings"] for one in _of_setting(out, study, setting)]
    hours = sum((_hours(out / run["id"]) for run in tried), 0.0)
    return Scoreboard(studies, standings, read_opened(out), hours, unfinished, untried)


def _of_setting(out: Path, study: dict[str, Any], setting: str) -> Iterator[Standing]:
    place = out / folder(study["name"]) / folder(setting)
    here = [run for run in study["runs"] if run["setting"] == setting]
    tested = read_study(place) if any(places.exists(out / run["id"], run["steps"]) for run in here) else None
    ceiling = _ceiling(tested, study["choose_by"]) if tested else None
    found = [_of_arm(out, study, setting, arm, tested, ceiling) for arm in study["arms"]]
    differences = [one.difference for one in found]
    compared = [at for at, one in enumerate(differences) if one is not None]
    adjusted = holm(np.array([differences[at].p for at in compared]))
    for at, p in zip(compared, adjusted, strict=True):
        found[at] = dataclasses.replace(found[at], p_holm=float(p))
    yield from found
    if tested:
        yield from _floors(study, setting, tested, ceiling)


def _floors(study: dict[str, Any], setting: str, tested: Study, ceiling: float | None) -> Iterator[Standing]:
    """Floors and the ceiling; if draws of patients give different values, their mean and SD.

    There is one untrained backbone for each backbone that is compared.
    """
    arm_of = {Path(run["id"]).name: run["arm"] for run in (*study["runs"], *study["tried"])}
    place = {name: at for at, name in enumerate(arm_of)}
    # Scored runs that belong to no arm, left from an earlier version of the sweep file, come last.
    arms = sorted(tested.arms, key=lambda arm: place.get(arm.runs[0].name, len(place)))
    for name, title in (FLOORS | CEILING).items():
        groups = sharing(arms, name)
        for runs in ([run for arm in group for run in arm.runs] for group in groups):
            drawn = {run.draw: run.floors[name].get(study["choose_by"]) for run in runs if name in run.floors}
            rows = [row for row in drawn.values() if row is not None and row.value is not None]
            if not rows:
                continue
            values, row = [row.value for row in rows], rows[0]
            if len(set(values)) > 1:
                row = dataclasses.replace(row, value=statistics.fmean(values), low=None, high=None)
            owners = f" of {listed(arm_of.get(run.name, run.name) for run in runs)}" if len(groups) > 1 else ""
            yield Standing(
                *(study["name"], setting, title + owners, "ceiling" if name in CEILING else "floor", "test", 0, 0),
                row=row,
                spread=statistics.stdev(values) if len(set(values)) > 1 else None,
                also=_also_of_floor(study, name, runs),
                of_ceiling=_share(row, ceiling),
            )


def _also_of_floor(study: dict[str, Any], floor: str, runs: Sequence[Run]) -> list[Row]:
    drawn = {run.draw: run.floor_sections.filter(pl.col("section") == floor).iter_rows(named=True) for run in runs}
    each = [{_full(row["name"], row["at"]): row["value"] for row in rows} for rows in drawn.values()]
    found = {name: [own[name] for own in each if own.get(name) is not None] for name in study.get("also", ())}
    return [Row(name, statistics.fmean(values), None, None, 0, None) for name, values in found.items() if values]


def _full(name: str, at: str | None) -> str:
    """The name of a score followed by the part of the pairs it is for."""
    return f"{name} {at or ''}".strip()


def _of_arm(
    out: Path, study: dict[str, Any], setting: str, arm: str, tested: Study | None, ceiling: float | None
) -> Standing:
    runs = [run for run in study["runs"] if (run["setting"], run["arm"]) == (setting, arm)]
    names = {Path(run["id"]).name for run in runs}
    line = Standing(study["name"], setting, arm, "arm", "val", 0, len(study["seeds"]))
    if not runs:
        return line
    lives = [goodput.read(out / run["id"]) for run in runs]
    speeds = [own[-1].examples_per_second for own in lives if own and own[-1].examples_per_second]
    used = [own[-1].mfu for own in lives if own and own[-1].mfu]
    whole = [_hours(out / run["id"]) for run in runs if places.exists(out / run["id"], run["steps"], "val")]
    line = dataclasses.replace(
        line,
        learning_rate=runs[0]["learning_rate"],
        parameters=runs[0]["parameters"],
        flops=runs[0]["flops"],
        examples_per_second=statistics.median(speeds) if speeds else None,
        mfu=statistics.median(used) if used else None,
        device_hours=sum(_hours(out / run["id"]) for run in runs),
        hours_of_a_run=statistics.fmean(whole) if whole else None,
    )
    here = [one for one in (tested.arms if tested else ()) if {run.name for run in one.runs} & names]
    if not here:
        return dataclasses.replace(line, **_on_validation(out, study, runs))
    (own,) = here[:1]
    row = own.rows.get(study["choose_by"])
    return dataclasses.replace(
        line,
        patients="test",
        runs=len(own.runs),
        row=row,
        spread=own.spread.get(study["choose_by"]),
        also=_also(study, own),
        of_ceiling=_share(row, ceiling),
        difference=_difference(tested.comparison, own, study["choose_by"]),
    )


def _also(study: dict[str, Any], arm: Arm) -> list[Row]:
    rows = {_full(row.name, row.at): row for row in arm.every}
    named = ((name, rows.get(name)) for name in study.get("also", ()))
    return [dataclasses.replace(row, name=name, at="") for name, row in named if row is not None]


def _on_validation(out: Path, study: dict[str, Any], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    scores = [validation_score(out / run["id"], run["steps"], study["choose_by"]) for run in runs]
    values = [score for score in scores if score is not None]
    if not values:
        return {}
    row = Row(study["choose_by"], statistics.fmean(values), None, None, 0, None, "validation patients")
    return {"runs": len(values), "row": row, "spread": statistics.stdev(values) if len(values) > 1 else None}


def _difference(comparison: Comparison | None, arm: Arm, score: str) -> Difference | None:
    apart = comparison.differences.get(arm.name, ()) if comparison else ()
    return next((one for one in apart if one.row.name == score), None)


def _ceiling(study: Study, score: str) -> float | None:
    rows = [run.floors.get("noise_ceiling", {}).get(score) for run in study.runs]
    return next((row.value for row in rows if row is not None), None)


def _share(row: Row | None, ceiling: float | None) -> float | None:
    chance = CHANCE.get(row.name) if row is not None else None
    if chance is None or ceiling is None or row.value is None or ceiling == chance:
        return None
    return (row.value - chance) / (ceiling - chance)


def _hours(workdir: Path) -> float:
    return sum(life.wall * life.devices for life in goodput.read(workdir)) / 3600
