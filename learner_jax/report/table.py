"""The main table: arms and floors × scores, each with its interval over patients and its n."""

import dataclasses
import re
import textwrap
from collections.abc import Sequence

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from learner_jax.report.arms import Entry
from learner_jax.report.floors import missing_floors
from learner_jax.report.study import Study, entries
from learner_jax.report.titles import COARSE, HEADLINE, KINDS, TITLES, count, digits_of, hint, interval, listed, number

_TOO_FEW = re.compile(
    r"(\d+ patients: with fewer than [^;]+)(?:; )?"
)  # as worded in evaluators/statistics/intervals.py
_WITHOUT = re.compile(r"every resample gives this value[^;]*|no interval: (?P<why>[^;]*)")  # no interval, likewise


@dataclasses.dataclass(frozen=True)
class Cell:
    """``0.71 [0.66, 0.75]``, the SD over seeds, n if it differs from the column's, and a note on this cell alone."""

    value: str
    spread: str = ""
    n: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """``0.71 [0.66, 0.75] ± 0.03``."""
        return f"{self.value} {self.spread}".strip()


@dataclasses.dataclass(frozen=True)
class Line:
    """One arm, reference, floor or ceiling."""

    kind: str  # of titles.KINDS
    name: str
    label: str
    cells: tuple[Cell, ...]


@dataclasses.dataclass(frozen=True)
class Column:
    """One score; ``n``, ``note`` (on intervals) and ``empty`` (why there is no value) are blank where lines differ."""

    name: str
    title: str
    hint: str
    n: str
    note: str
    empty: str

    @property
    def head(self) -> str:
        """Everything above the column, in one line."""
        return ", ".join(filter(None, (self.title, self.hint, self.n)))


@dataclasses.dataclass(frozen=True)
class Table:
    """What the terminal and the page both show.

    Attributes:
      notes: warnings, to be read before the numbers.
      column_notes: what must be known about all intervals of a column.
      below: why a score may lack its interval, what ± means, and which floors are missing.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    column_notes: tuple[str, ...]
    below: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, list[Line]]]:
        """Lines by kind, with the kind's title."""
        found = [(title, [line for line in self.lines if line.kind == kind]) for kind, title in KINDS.items()]
        return [(title, lines) for title, lines in found if lines]


def make_table(study: Study, columns: dict[str, str] | None = None) -> Table:
    """The table of a study: arms, what they are compared with, floors and ceiling.

    Args:
      study: of at least one arm.
      columns: names of scores -> titles; scores that no line has are left out. None: the three headline scores, or the
        coarse ones if no arm has fine pairs to score.
    """
    if columns is None:
        columns = HEADLINE if has_values(study, HEADLINE) else COARSE
    lines = list(entries(study))
    made = [_column(name, title, lines, study) for name, title in columns.items() if _occurs(name, lines)]
    return Table(
        columns=tuple(made),
        lines=tuple(
            Line(entry.kind, entry.name, entry.label, tuple(_cell(entry, column) for column in made))
            for entry in lines
            if entry.kind in ("arm", "reference") or any(column.name in entry.rows for column in made)
        ),
        notes=tuple(warnings(study, [column.name for column in made])),
        column_notes=tuple(_shared_notes(made)),
        below=tuple([*_without_interval(lines, made), *spread_sentences(lines), *missing_floors(study.arms)]),
    )


def has_values(study: Study, columns: dict[str, str]) -> bool:
    """Whether any arm has a value of any of these scores."""
    return any(arm.rows[name].value is not None for arm in study.arms for name in columns if name in arm.rows)


def warnings(study: Study, columns: Sequence[str]) -> list[str]:
    """Notes on the evaluations and, once for all cells, on intervals that rest on few patients."""
    found = [run.scores["note"] for run in study.runs if run.scores.get("note")]
    few: dict[str, dict[str, None]] = {}
    known = {name: [arm.rows[name] for arm in study.arms if name in arm.rows] for name in columns}
    known = {name: rows for name, rows in known.items() if any(row.low is not None for row in rows)}
    for name, rows in known.items():
        for said in filter(None, (_TOO_FEW.match(row.note) for row in rows)):
            few.setdefault(said[1], {}).setdefault(TITLES.get(name, name))
    everywhere = len({title for titles in few.values() for title in titles}) == len(known)
    commonest = max(few, key=lambda said: len(few[said]), default="")
    for said, titles in few.items():
        found.append(f"{said}." if everywhere and said == commonest else f"{said} ({listed(titles)}).")
    return list(dict.fromkeys(found))


def _without_interval(lines: Sequence[Entry], columns: Sequence[Column]) -> list[str]:
    shown = [
        (entry.name, entry.rows[column.name]) for entry in lines for column in columns if column.name in entry.rows
    ]
    found: dict[str, None] = {}
    for name, row in shown:
        if said := _WITHOUT.match(row.note):
            other = f"The {name} has no interval: {said['why']}."
            alike = "Where an arm or a floor has no interval, every resample of the patients gives the same score."
            found[other if said["why"] else alike] = None
    return list(found)


def spread_sentences(lines: Sequence[Entry]) -> list[str]:
    """What intervals cover and what ± means, if there is a ±."""
    found = []
    if any(entry.spread for entry in lines if entry.kind in ("arm", "reference")):
        found.append(
            "Intervals are over patients and conditional on the trained models; ± is the SD over seeds, what another "
            "training would change."
        )
    if any(entry.spread for entry in lines if entry.kind == "floor"):
        found.append("Of a floor that is a mean over draws, ± is the SD over draws of the training patients.")
    return found


def to_terminal(table: Table) -> RichTable:
    """The table for a terminal; floors are set apart from arms, and names are text, never markup."""
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
        shown.add_row(name, *map(_terminal, line.cells), end_section=after is not None and after.kind != line.kind)
    return shown


def _terminal(cell: Cell) -> Text:
    shown = Text(cell.value)
    for more in filter(None, (cell.spread, cell.n.replace(", ", "\n"))):
        shown.append(f"\n{more}", style="dim")
    return shown


def _occurs(name: str, lines: Sequence[Entry]) -> bool:
    return any(name in entry.rows for entry in lines)


def _column(name: str, title: str, lines: Sequence[Entry], study: Study) -> Column:
    rows = [entry.rows[name] for entry in lines if name in entry.rows]
    return Column(
        name=name,
        title=title,
        hint=hint(name, study.runs[0].score_name),
        n=_shared([count(row) for row in rows if row.value is not None]),
        note=_shared([_note(row.note) for row in rows if row.low is not None]),
        empty=_shared([row.note for row in rows if row.value is None]),
    )


def _shared(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ""


def _shared_notes(columns: Sequence[Column]) -> list[str]:
    notes = dict.fromkeys(column.note for column in columns if column.note)
    told = [f"{listed(c.title for c in columns if c.note == note)}: {note}." for note in notes]
    reasons = dict.fromkeys(column.empty for column in columns if column.empty)
    for why in reasons:
        verb = " is" if why.startswith("undefined") else ":"
        told.append(f"A – under {listed(c.title for c in columns if c.empty == why)}{verb} {why}.")
    return told


def _cell(entry: Entry, column: Column) -> Cell:
    row = entry.rows.get(column.name)
    if row is None:
        return Cell("")  # it was not asked for, such as a score of the embedding for a floor without one
    own = "" if row.value is None or count(row) == column.n else count(row)
    note = _note(row.note)
    note = "" if note == (column.empty if row.value is None else column.note) else note
    if column.name not in entry.spread or row.value is None:
        return Cell(interval(row), "", own, note)
    return Cell(interval(row), f"± {number(entry.spread[column.name], digits_of(column.name, row.value))}", own, note)


def _note(note: str) -> str:
    return _WITHOUT.sub("", _TOO_FEW.sub("", note))
