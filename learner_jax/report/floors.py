"""Floors and the noise ceiling as lines of a table: one line where runs agree, a mean over draws where seeds differ.

A floor is fitted on the training patients that its run saw, so runs that drew other patients have other floors.
"""

import statistics
from collections.abc import Iterator, Sequence

from learner_jax.evaluators.rows import Row
from learner_jax.report.arms import Arm, Entry
from learner_jax.report.runs import Run
from learner_jax.report.titles import CEILING, FLOORS, listed

_MOST = 2  # versions of a floor that are shown one by one


def floor_entries(arms: Sequence[Arm], every: bool = False) -> Iterator[Entry]:
    """Floors in their order, then the ceiling; with ``every``, also each version of a floor that is shown as a mean.

    Arms that share a version of a floor (because of the same draw, or because the floor does not depend on it) share a
    line. More than two versions are shown as a mean, with the SD over draws and no interval, since it is not of one
    model.
    """
    names = dict.fromkeys(name for arm in arms for run in arm.runs for name in run.floors)
    for name in sorted(names, key=_place):
        groups = sharing(arms, name)
        kind = "ceiling" if name in CEILING else "floor"
        title = (FLOORS | CEILING).get(name, name)
        for group in groups:
            owners = f"of {listed(arm.name for arm in group)}" if len(groups) > 1 else ""
            versions = _versions(group, name)
            if len(versions) > _MOST:
                rows, spread, draws = _mean(group, name)
                label = " ".join(filter(None, (f"mean of {draws} draws", owners)))
                yield Entry(kind, title, label, "", rows, spread)
            if len(versions) <= _MOST or every:
                for rows in versions:
                    label = owners if len(versions) == 1 else f"of {_owners(group, name, rows, every)}"
                    yield Entry(kind, title, label, "", rows)


def sharing(arms: Sequence[Arm], name: str) -> list[list[Arm]]:
    """The arms that have a floor, in groups such that no version of it occurs in two groups."""
    groups: list[list[Arm]] = []
    for arm in arms:
        own = _versions([arm], name)
        if not own:
            continue
        touched = [group for group in groups if any(version in own for version in _versions(group, name))]
        merged = [*(other for group in touched for other in group), arm]
        groups = [group for group in groups if group not in touched] + [sorted(merged, key=arms.index)]
    return sorted(groups, key=lambda group: arms.index(group[0]))


def missing_floors(arms: Sequence[Arm]) -> list[str]:
    """A sentence for each floor that could not be computed, naming the runs if others have it."""
    runs = [run for arm in arms for run in arm.runs]
    told: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for name, why in run.floor_notes.items():
            if name not in run.floors:
                told.setdefault((name, why.rstrip(".")), []).append(run.name)
    sentences = []
    for (name, why), owners in sorted(told.items(), key=lambda item: _place(item[0][0])):
        what = CEILING.get(name) or f"floor “{FLOORS.get(name, name)}”"
        sentences.append(f"No {what}{f' of {listed(owners)}' if len(owners) < len(runs) else ''}: {why}.")
    return sentences


def _place(name: str) -> tuple[bool, int]:
    order = list(FLOORS)
    return name in CEILING, order.index(name) if name in order else len(order)


def _versions(group: Sequence[Arm], name: str) -> list[dict[str, Row]]:
    found: list[dict[str, Row]] = []
    for run in _having(group, name):
        if run.floors[name] not in found:
            found.append(run.floors[name])
    return found


def _having(group: Sequence[Arm], name: str) -> list[Run]:
    return [run for arm in group for run in arm.runs if name in run.floors]


def _owners(group: Sequence[Arm], name: str, rows: dict[str, Row], every: bool) -> str:
    owners = []
    for arm in group:
        having = [run.name for run in arm.runs if run.floors.get(name) == rows]
        owners += [arm.name] if len(having) == len(arm.runs) else having
    return listed(owners, len(owners) if every else 4)


def _mean(group: Sequence[Arm], name: str) -> tuple[dict[str, Row], dict[str, float], int]:
    """Mean and SD over draws, counting each draw once however many arms saw it, and the number of draws."""
    drawn: dict[str, dict[str, Row]] = {}
    for run in _having(group, name):
        drawn.setdefault(run.draw, run.floors[name])
    versions = _versions(group, name)
    if len(drawn) < len(versions):  # the evaluation does not say which draw is whose
        drawn = {str(at): version for at, version in enumerate(versions)}
    rows, spread = {}, {}
    for score in dict.fromkeys(score for version in drawn.values() for score in version):
        found = [version[score] for version in drawn.values() if score in version]
        values = [row.value for row in found if row.value is not None]
        one = found[0]
        if all(row == one for row in found) and len(found) == len(drawn):
            rows[score] = one
        elif len(values) == len(drawn):
            rows[score] = Row(score, statistics.fmean(values), None, None, one.n_patients, one.n_pairs)
            spread[score] = statistics.stdev(values)
        else:
            note = f"undefined in {len(drawn) - len(values)} of {len(drawn)} draws"
            rows[score] = Row(score, None, None, None, one.n_patients, one.n_pairs, note)
    return rows, spread, len(drawn)
