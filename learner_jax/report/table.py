"""The one table: arms and floors × scores, each with its interval over patients and its n."""

import csv
import dataclasses
import os
import pathlib
import textwrap
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from learner_jax.report.runs import Row, Run

HEADLINE = {
    "pairwise_accuracy": "pairwise accuracy",
    "macro_f1": "three-way macro-F1",
    "kendall_tau_b": "within-patient Kendall τ-b",
}
COARSE = {
    "coarse_c_index": "coarse C-index",
    "score_mae": "score MAE",
    "score_spearman": "score Spearman ρ",
}
OTHER = {
    "accuracy": "three-way accuracy",
    "balanced_accuracy": "balanced accuracy",
    "embedding_distance_spearman": "distance–Δscore Spearman ρ",
    **COARSE,
}
_FLOORS = {
    "majority": "majority class",
    "time_only": "time alone",
    "pixels": "raw pixels",
    "random_init": "untrained backbone",
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """``0.71 [0.66, 0.75]``, its n where that differs from the column's, and why it is empty where it is."""

    text: str
    n: str
    note: str


@dataclasses.dataclass(frozen=True)
class Line:
    """One arm or floor."""

    kind: str  # "arm" or "floor"
    name: str
    label: str
    cells: tuple[Cell, ...]


@dataclasses.dataclass(frozen=True)
class Column:
    """One score; ``n`` is filled when all lines share it."""

    name: str
    title: str
    n: str


@dataclasses.dataclass(frozen=True)
class Table:
    """What the terminal and the page both show."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def make_table(runs: Sequence[Run], columns: dict[str, str] | None = None) -> Table:
    """Arms in the order given, then floors; ``columns`` maps score names to titles.

    Without ``columns`` these are the three headline scores, or the coarse ones when no arm has fine pairs to score.
    """
    if columns is None:
        fine = any(run.rows[name].value is not None for run in runs for name in HEADLINE if name in run.rows)
        columns = HEADLINE if fine else COARSE
    entries = list(_entries(runs))
    shared = {}
    for name in columns:
        counts = {count(rows[name]) for *_, rows in entries if name in rows and rows[name].value is not None}
        shared[name] = counts.pop() if len(counts) == 1 else ""
    lines = tuple(
        Line(kind, name, label, tuple(_cell(rows.get(column), shared[column]) for column in columns))
        for kind, name, label, _, rows in entries
        if kind == "arm" or any(column in rows for column in columns)
    )
    return Table(
        columns=tuple(Column(name, title, shared[name]) for name, title in columns.items()),
        lines=lines,
        notes=tuple(dict.fromkeys(run.scores["note"] for run in runs if run.scores.get("note"))),
    )


def interval(row: Row | None, digits: int = 2) -> str:
    """``0.71 [0.66, 0.75]``; without the bracket when there is no interval, ``–`` when there is no value."""
    if row is None or row.value is None:
        return "–"
    if row.low is None or row.high is None:
        return number(row.value, digits)
    return f"{number(row.value, digits)} [{number(row.low, digits)}, {number(row.high, digits)}]"


def number(value: float, digits: int = 2) -> str:
    """Fixed digits with a true minus sign, and never a negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def count(row: Row) -> str:
    """``41 patients, 98 pairs``, as far as they are known and counted: a coarse score has no pairs."""
    parts = ((row.n_patients, "patient"), (row.n_pairs, "pair"))
    return ", ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in parts if n)


def to_terminal(table: Table) -> RichTable:
    """The table for a terminal; floors stand apart from arms, and names are text, never markup."""
    shown = RichTable(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("", overflow="fold")
    for column in table.columns:
        title = Text(textwrap.fill(column.title, 17))
        if column.n:
            title.append(f"\n{column.n}".replace(", ", "\n"), style="not bold dim")
        shown.add_column(title, no_wrap=True)  # at 80 columns the names wrap, not the numbers
    for line, after in zip(table.lines, [*table.lines[1:], None], strict=True):
        name = Text(line.name, style="bold" if line.kind == "arm" else "")
        if line.label:
            name.append(f"\n{line.label}", style="dim")
        cells = [Text(cell.text).append(f"\n{cell.n}" if cell.n else "", style="dim") for cell in line.cells]
        shown.add_row(name, *cells, end_section=after is not None and after.kind != line.kind)
    return shown


def write_csv(path: str | os.PathLike, runs: Sequence[Run]) -> None:
    """Every score of every arm and floor, one a line, unrounded; what could not be computed is an empty field."""
    fields = [field.name for field in dataclasses.fields(Row)]
    with pathlib.Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["kind", "arm", "label", "step", *fields])
        for kind, name, label, step, rows in _entries(runs):
            for row in rows.values():
                writer.writerow([kind, name, label, step, *(getattr(row, field) for field in fields)])


def _entries(runs: Sequence[Run]) -> Iterator[tuple[str, str, str, int | str, dict[str, Row]]]:
    """``(kind, name, label, step, rows)``: arms, then floors, those that several runs agree on once."""
    for run in runs:
        yield "arm", run.name, run.objective if run.objective != run.name else "", run.step, run.rows
    for floor in dict.fromkeys(name for run in runs for name in run.floors):
        found = [(run.name, run.floors[floor]) for run in runs if floor in run.floors]
        distinct = [entry for at, entry in enumerate(found) if entry[1] not in [rows for _, rows in found[:at]]]
        for _, rows in distinct:
            owners = ", ".join(name for name, other in found if other == rows)
            yield "floor", _FLOORS.get(floor, floor), "" if len(distinct) == 1 else f"of {owners}", "", rows


def _cell(row: Row | None, shared: str) -> Cell:
    if row is None:
        return Cell("–", "", "")
    own = "" if row.value is None or count(row) == shared else count(row)
    return Cell(interval(row), own, row.note)
