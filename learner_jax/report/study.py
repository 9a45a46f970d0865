"""Everything that one report is about: the arms of a folder, what they are compared with, and what must be noted."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

from learner_jax.report.arms import Arm, Entry, group
from learner_jax.report.comparison import Comparison, read_comparison
from learner_jax.report.floors import floor_entries
from learner_jax.report.runs import Run, find_runs, load, not_evaluated
from learner_jax.report.titles import listed


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """What tables, figures and page are made from.

    Attributes:
      arms: at least one, in the order of the table.
      comparison: of the arms with a reference; None if there is none.
      notes: sentences to show above the table, on runs that are left out or not scored at their last step, collapses,
        and files that are out of date.
    """

    arms: tuple[Arm, ...]
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        """The runs of all arms."""
        return [run for arm in self.arms for run in arm.runs]


def read_study(folder: str | os.PathLike) -> Study:
    """Read a run, or a folder of runs, with the evaluator's ``arms.json`` and ``comparison.json`` if there are any.

    Raises:
      InputError: there is nothing to report, or a file is damaged.
    """
    folder = pathlib.Path(folder)
    runs = [load(run) for run in find_runs(folder)]
    notes, left_out = [], [run.name for run in not_evaluated(folder)]
    if left_out:
        verbs = ("is", "it has") if len(left_out) == 1 else ("are", "they have")
        notes = [f"{listed(left_out)} {verbs[0]} left out: {verbs[1]} no evaluation yet."]
    notes += [f"{run.name}: {run.collapse}." for run in runs if run.collapse]
    early = [f"{run.name} ({run.step} of {steps})" for run in runs if run.step < (steps := run.config.get("steps", 0))]
    notes += [f"Not scored at their last step: {listed(early)}."] if early else []
    arms, outdated = group(runs, folder)
    comparison = read_comparison(folder, arms)
    return Study(tuple(arms), comparison, (*notes, *outdated, *(comparison.notes if comparison else ())))


def entries(study: Study, every: bool = False) -> Iterator[Entry]:
    """The lines of a table: arms, a reference from another folder, floors, ceiling.

    ``every`` adds what files contain but tables have no room for: the single runs of an arm of several seeds, and each
    version of a floor.
    """
    compared = study.comparison
    for arm in study.arms:
        reference = compared is not None and compared.is_arm(arm)
        label = " · ".join(filter(None, (arm.label, "reference" if reference else "")))
        step = ", ".join(dict.fromkeys(str(run.step) for run in arm.runs))
        yield Entry("arm", arm.name, label, step, arm.rows, arm.spread)
        if every and arm.seeds > 1:
            yield from (Entry("run", run.name, f"a seed of {arm.name}", run.step, run.rows) for run in arm.runs)
    if compared is not None and not any(compared.is_arm(arm) for arm in study.arms):
        label = " · ".join(filter(None, (f"{compared.seeds} seeds" if compared.seeds > 1 else "", "reference")))
        yield Entry("reference", compared.reference, label, "", compared.rows, compared.spread)
    yield from floor_entries(study.arms, every)


def missing_readouts(arms: Sequence[Arm]) -> list[tuple[str, str, str]]:
    """``(read-out or analysis, why it is missing or what must be known about it, arms)``, sorted by name."""
    told: dict[tuple[str, str], dict[str, None]] = {}
    for arm in arms:
        for name, why in (note for run in arm.runs for note in run.notes.items()):
            told.setdefault((name, why.removeprefix(f"{name}: ")), {}).setdefault(arm.name)
    return [
        (name, why, "all" if len(owners) == len(arms) else ", ".join(owners))
        for (name, why), owners in sorted(told.items(), key=lambda item: item[0])
    ]
