"""The board of a sweep as one self-contained HTML file, with CSV, Markdown and figures beside it."""

import csv
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from learner_jax.report.comparison import Difference, probability
from learner_jax.report.page import public
from learner_jax.report.picture import Picture
from learner_jax.report.publish import built_beside, template
from learner_jax.report.titles import TITLES, interval, listed, number
from learner_jax.sweep.pictures import draw
from learner_jax.sweep.standing import Scoreboard, Standing, read
from learner_jax.sweep.wording import magnitude
from tfds_builders.wording import plural


@dataclasses.dataclass(frozen=True)
class Cell:
    """The text of a cell, the key it is sorted by (if empty, it comes last), and a second line."""

    text: str
    sort: str | int | float = ""
    more: str = ""

    @property
    def line(self) -> str:
        """Both lines in one."""
        return f"{self.text} ({self.more})" if self.more else self.text


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table, which is ``sorted`` by one of them at first."""

    title: str
    hint: str = ""
    sorted: bool = False


COLUMNS = (
    Column("arm", "study, setting"),
    Column("score", "mean over seeds [interval over patients] ± SD over seeds", sorted=True),
    Column("of the ceiling", "chance: 0 %, noise ceiling: 100 %"),
    Column("further scores", "of the study"),
    Column("less the reference", "on the same patients [interval], SD over seeds"),
    Column("Holm p", "over the arms of the setting"),
    Column("parameters"),
    Column("training", "operations of one run"),
    Column("examples/s"),
    Column("MFU"),
    Column("device-hours", "all seeds"),
    Column("learning rate", "chosen on validation patients"),
)
_NONE = "–"


def write_board(out: Path, to: Path) -> Path:
    """Write ``index.html``, ``board.csv``, ``board.md`` and figures of the sweep in ``out``; returns the page's path.

    Raises:
      InputError: no sweep was run in ``out``, or a file of it is damaged.
    """
    board, to = read(out), to.absolute()
    pictures = draw(board)
    with built_beside(to) as built:
        for picture in pictures:
            picture.save(built)
        write_table(built / "board.csv", board)
        (built / "board.md").write_text(markdown(board), encoding="utf-8")
        (built / "index.html").write_text(render(board, pictures), encoding="utf-8")
    return to / "index.html"


def render(board: Scoreboard, pictures: Sequence[Picture]) -> str:
    """The HTML, with everything that came from a file escaped."""
    hours = f"{board.search_hours:.2g}" if board.search_hours else ""
    ranking = ranked(board)
    rows = [cells(one) for one in ranking]
    used = _used(rows)
    return template("board.html.j2", "learner_jax.sweep", "learner_jax.report").render(
        studies=[study | {"told": told(study)} for study in board.studies],
        settings=list(dict.fromkeys(one.setting for one in board.standings)),
        n_runs=sum(len(study["runs"]) for study in board.studies),
        opened=opened(board),
        warnings=warnings(board),
        columns=[COLUMNS[at] for at in used],
        lines=[
            {"kind": one.kind, "study": one.study, "setting": one.setting, "cells": [row[at] for at in used]}
            for one, row in zip(ranking, rows, strict=True)
        ],
        reading=reading(board),
        search_hours=hours,
        pictures=[(picture, Markup(picture.svg())) for picture in pictures],  # matplotlib escapes the text in it
    )


def ranked(board: Scoreboard) -> list[Standing]:
    """Standings, best first; those without a score come last."""
    return sorted(board.standings, key=lambda one: -one.value if one.value is not None else float("inf"))


def cells(one: Standing) -> list[Cell]:
    """One for each of :data:`COLUMNS`."""
    return [
        Cell(one.arm, one.arm, f"{one.study}, {one.setting}"),
        _score(one),
        _known(one.of_ceiling, lambda x: f"{number(100 * x, 0)} %"),
        Cell("; ".join(f"{_title(row.name)} {interval(row)}" for row in one.also) or _NONE),
        _difference(one.difference),
        _known(one.p_holm, probability),
        _known(one.parameters, lambda x: f"{x / 1e6:.2f} M" if x >= 1e5 else f"{x:,}"),
        _known(one.flops, magnitude),
        _known(one.examples_per_second, lambda x: f"{x:.3g}"),
        _known(one.mfu, lambda x: f"{100 * x:.1f} %"),
        _known(one.device_hours, lambda x: f"{x:.2g}"),
        _known(one.learning_rate, lambda x: f"{x:g}"),
    ]


def _score(one: Standing) -> Cell:
    spread = "" if one.spread is None else f" ± {number(one.spread)}"
    where = "validation patients" if one.patients == "val" and one.value is not None else ""
    missing = "" if one.runs == one.seeds else f"{one.runs} of {plural(one.seeds, 'seed')}"
    sort = "" if one.value is None else one.value
    return Cell(interval(one.row) + spread, sort, ", ".join(filter(None, (where, missing))))


def _difference(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell(_NONE)
    spread = f"{difference.spread} over seeds" if difference.spread else ""
    return Cell(difference.text, difference.row.value, spread)


def _title(name: str) -> str:
    """Title of a score and of the part of the pairs it is for, as in ``pairwise accuracy, from day 3``."""
    score, _, part = name.partition(" ")
    return ", ".join(filter(None, (TITLES.get(score, score.replace("_", " ")), part)))


def _used(rows: Sequence[Sequence[Cell]]) -> list[int]:
    """Indices of the columns that have a value in some row."""
    return [at for at in range(len(COLUMNS)) if any(row[at].text != _NONE for row in rows)]


def _known(value: int | float | None, text: Callable[[Any], str]) -> Cell:
    return Cell(_NONE) if value is None else Cell(text(value), value)


def opened(board: Scoreboard) -> str:
    """A sentence on how often test patients were opened, and for how many runs."""
    if not board.opened:
        return "Test patients were not opened: all scores are of validation patients, by which recipes are chosen."
    times, runs = len(board.opened), len({run for line in board.opened for run in line["runs"]})
    last = board.opened[-1]["time"][:10]
    often = "once" if times == 1 else f"{times} times"
    return f"Test patients were opened {often}, for {plural(runs, 'run')}, the last time on {last}."


def warnings(board: Scoreboard) -> list[str]:
    """Sentences to read before the numbers."""
    found = []
    if board.unfinished:
        found.append(f"Not finished: {listed(board.unfinished)}. The same command goes on with them.")
    if board.untried:
        found.append(
            f"Learning rates that could not be tried, so that their arms may do better: {listed(board.untried)}. The "
            "same command tries them again."
        )
    lacking = [one for one in board.standings if one.kind == "arm" and 0 < one.runs < one.seeds]
    if lacking:
        found.append(
            f"Not all seeds are scored: {listed(f'{one.arm} ({one.study}, {one.setting})' for one in lacking)}."
        )
    both = {one.patients for one in board.standings if one.kind == "arm" and one.value is not None}
    if len(both) > 1:
        found.append("Some scores are of validation patients and some of test patients: compare them with neither.")
    if len(board.opened) > 1:
        found.append(
            "Test patients were opened more than once: what was chosen after the first time may be chosen by them."
        )
    return found


def reading(board: Scoreboard) -> str:
    """What the scores and intervals mean."""
    names = dict.fromkeys(study["choose_by"] for study in board.studies)
    return (
        f"The score is {listed(TITLES.get(name, name) for name in names)}, of the ridge read-out. Intervals come from "
        "resampling patients and take the trained models as they are; ± is what another training seed changes. Holm p: "
        "were arm and reference alike, they could be exchanged within any patient (permutation test), adjusted over "
        "the arms of the setting. A floor needs no pretraining; the ceiling is the true score with its own error."
    )


def told(study: dict[str, Any]) -> str:
    """A study in one line."""
    ((kind, amount),) = study["budget"].items()
    counted = [(study["arms"], "arm"), (study["settings"], "setting"), (study["seeds"], "seed")]
    parts = [public(study["config"]), *(plural(len(things), word) for things, word in counted)]
    parts += [f"reference {study['reference']}", f"{amount:,g} {kind} a run"]
    if study["learning_rates"]:
        parts.append(f"learning rates {', '.join(f'{rate:g}' for rate in study['learning_rates'])}")
    return "; ".join(parts)


def markdown(board: Scoreboard) -> str:
    """A Markdown table for each study and setting; columns without any value are left out."""
    parts = [opened(board), *warnings(board)]
    for study in board.studies:
        for setting in study["settings"]:
            lines = board.of(study["name"], setting)
            if not any(one.value is not None for one in lines):
                continue
            rows = [cells(one) for one in lines]
            used = _used(rows)
            head = [COLUMNS[at].title for at in used]
            table = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
            for row in rows:
                table.append(f"| {' | '.join([row[0].text, *(row[at].line for at in used[1:])])} |")
            parts.append("\n".join([f"**{study['name']}, {setting}**", "", *table]))
    return "\n\n".join(parts) + "\n"


def write_table(path: Path, board: Scoreboard) -> None:
    """Write every standing, unrounded, one per line; unknown fields are empty."""
    with path.open("w", newline="") as file:
        lines = list(_flat(board))
        writer = csv.DictWriter(file, lines[0] if lines else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _flat(board: Scoreboard) -> Iterator[dict[str, Any]]:
    for one in board.standings:
        line = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
        row, apart = line.pop("row"), line.pop("difference")
        line["also"] = "; ".join(f"{row.name}: {row.value} [{row.low}, {row.high}]" for row in one.also)
        line |= {"score": row.name if row else None, "value": one.value}
        line |= {name: getattr(row, name) if row else None for name in ("low", "high", "n_patients", "n_pairs")}
        line |= {f"difference_{name}": getattr(apart.row, name) if apart else None for name in ("value", "low", "high")}
        line |= {"p": apart.p if apart else None, "sd_of_differences": apart.sd_over_seeds if apart else None}
        yield {name: "" if value is None else value for name, value in line.items()}
