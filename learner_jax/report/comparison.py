"""How the arms differ from a reference: ``comparison.json``, for the terminal and for the page."""

import dataclasses
import pathlib
import typing
from collections.abc import Sequence

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from learner_jax.evaluators.rows import Row
from learner_jax.report.arms import EVALUATE_AGAIN, Arm, averages, differs
from learner_jax.report.runs import parse_rows
from learner_jax.report.titles import COARSE, HEADLINE, IN_SCORE_UNITS, TITLES, digits_of, folded, number
from tfds_builders.errors import InputError
from tfds_builders.whole import read_object

FILE = "comparison.json"  # written by evaluators/arms.py, which cannot be imported without JAX
_NAME = 18  # characters per line of an arm's name: what is left of 80 columns


@dataclasses.dataclass(frozen=True)
class Difference:
    """One score of an arm minus that of the reference (``row``), with its p-value, unadjusted and adjusted."""

    row: Row
    first: float  # of the arm
    second: float  # of the reference
    p: float
    p_holm: float
    sd_over_seeds: float | None = None  # of the differences of runs with the same seed; None with one seed

    @property
    def title(self) -> str:
        """Title of the score."""
        return TITLES.get(self.row.name, self.row.name)

    @property
    def text(self) -> str:
        """``+0.012 [−0.003, +0.027]``, with an infinite limit where it lies beyond what the data can show."""
        ends = (self.row.value, self.row.low, self.row.high)
        value, low, high = (None if x is None else number(x, self._digits, "+") for x in ends)
        return value or "–" if low is None and high is None else f"{value} [{low or '−∞'}, {high or '+∞'}]"

    @property
    def spread(self) -> str:
        """``± 0.008``; empty with one seed."""
        return "" if self.sd_over_seeds is None else f"± {number(self.sd_over_seeds, self._digits)}"

    @property
    def arm_text(self) -> str:
        """The score of the arm."""
        return number(self.first, self._digits)

    @property
    def reference_text(self) -> str:
        """The score of the reference."""
        return number(self.second, self._digits)

    @property
    def _digits(self) -> int:
        return digits_of(self.row.name, self.second) if self.row.name in IN_SCORE_UNITS else 3


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """A reference, and how each other arm differs from it."""

    reference: str
    rows: dict[str, Row]
    spread: dict[str, float]
    runs: tuple[str, ...]  # of the reference
    differences: dict[str, tuple[Difference, ...]]  # by arm
    notes: tuple[str, ...] = ()  # on arms that have changed since the comparison

    @property
    def seeds(self) -> int:
        """How many runs the reference is the mean of."""
        return len(self.runs)

    @property
    def quantities(self) -> int:
        """Number of scores of an arm over which p-values are adjusted."""
        return max((len(apart) for apart in self.differences.values()), default=0)

    def is_arm(self, arm: Arm) -> bool:
        """Whether this arm is the reference; a reference from another folder may have the same name."""
        return arm.name == self.reference and arm.name not in self.differences

    @property
    def shown(self) -> list[tuple[str, list[Difference]]]:
        """Each arm with the differences that the terminal shows: the headline scores, or else the coarse ones."""
        named = {arm: {one.row.name: one for one in apart} for arm, apart in self.differences.items()}
        columns = HEADLINE if any(name in apart for apart in named.values() for name in HEADLINE) else COARSE
        listed = {arm: [apart[name] for name in columns if name in apart] for arm, apart in named.items()}
        return [(arm, lines) for arm, lines in listed.items() if lines]


def read_comparison(folder: pathlib.Path, arms: Sequence[Arm]) -> Comparison | None:
    """Read ``folder/comparison.json``; None if there is none.

    Raises:
      InputError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    values = read_object(path, EVALUATE_AGAIN)
    rows, _, spread, runs = averages(values, path)
    try:
        differences = {
            str(arm): tuple(_difference(one, path) for one in apart) for arm, apart in values["differences"].items()
        }
        reference = str(values["reference"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error!r}). Compare again, or remove the file.") from error
    notes = tuple(_outdated(differences, reference, arms))
    return Comparison(reference, rows, spread, tuple(runs), differences, notes)


def _outdated(differences: dict[str, tuple[Difference, ...]], reference: str, arms: Sequence[Arm]) -> list[str]:
    """A sentence for each arm in which the stored comparison does not match the current scores."""
    current = {arm.name: arm.rows for arm in arms}
    again = f"`python -m learner_jax.evaluate --compare …` writes {FILE} again."
    notes = [f"{arm}: {FILE} compares it, but it is not here. {again}" for arm in differences if arm not in current]
    for arm in (arm for arm in differences if arm in current):
        changed = [one.title for one in differences[arm] if _moved(one, current[arm].get(one.row.name))]
        if changed:
            notes.append(f"{arm}: {FILE} is older than its scores ({changed[0]} differs). {again}")
    notes += [f"{arm} is not in {FILE}. {again}" for arm in current if arm not in differences and arm != reference]
    return notes


def sentence(comparison: Comparison, confidence: str) -> str:
    """A sentence on what the numbers of a comparison mean."""
    seeds = any(one.spread for apart in comparison.differences.values() for one in apart)
    spread = " and ± the SD over pairs of runs with the same seed" if seeds else ""
    return (
        f"Each arm less {comparison.reference}, on the same patients, with its {confidence} interval over patients"
        f"{spread}. Intervals and p take the trained models as they are. p: "
        "were the two alike, they could be exchanged within any patient (permutation test). Holm: p adjusted for the "
        f"{comparison.quantities} scores that are compared of an arm; arms are not adjusted for one another."
    )


def to_terminal(comparison: Comparison) -> RichTable:
    """The headline scores of each arm; at 80 columns, names wrap but numbers do not."""
    shown = RichTable(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("", overflow="fold", max_width=_NAME)
    shown.add_column(Text("score"), max_width=18)
    shown.add_column(Text(folded(f"less {comparison.reference}", 23)), no_wrap=True)
    shown.add_column("p", no_wrap=True)
    shown.add_column("Holm", no_wrap=True)
    for arm, lines in comparison.shown:
        for at, one in enumerate(lines):
            name = Text(folded(arm, _NAME) if at == 0 else "", style="bold")
            cells = (
                Text(one.title),
                Text("\n".join(filter(None, (one.text, one.spread)))),
                probability(one.p),
                probability(one.p_holm),
            )
            shown.add_row(name, *cells, end_section=at == len(lines) - 1)
    return shown


def probability(p: float) -> str:
    """A p-value with three decimals, or with one significant digit where these would be zeros."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"


def _difference(values: dict[str, typing.Any], path: pathlib.Path) -> Difference:
    (row,) = parse_rows([values["row"]], path).values()
    sd = values.get("sd_over_seeds")
    numbers = (float(values[name]) for name in ("first", "second", "p", "p_holm"))
    return Difference(row, *numbers, sd_over_seeds=None if sd is None else float(sd))


def _moved(one: Difference, row: Row | None) -> bool:
    return row is not None and row.value is not None and differs(one.first, row.value)
