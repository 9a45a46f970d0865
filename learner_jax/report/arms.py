"""Arms, the lines of a table. A run is an arm of its own unless ``arms.json`` says that it is one of several seeds."""

import dataclasses
import pathlib
import typing
from collections.abc import Sequence

from learner_jax.evaluators.rows import Row
from learner_jax.report.runs import Run, parse_rows
from tfds_builders.errors import InputError
from tfds_builders.whole import read_object

FILE = "arms.json"  # written by evaluators/arms.py, which cannot be imported without JAX
EVALUATE_AGAIN = "Evaluate the folder again, or remove the file."
_SAME = 1e-3  # means of float32 scores, summed in another order, agree to 1e-6
_AGAIN = "`python -m learner_jax.evaluate` on this folder writes it again."


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """Runs that differ only in their seed, in the order of their seeds; often a single one."""

    name: str
    runs: tuple[Run, ...]
    rows: dict[str, Row]  # main scores; of several seeds the mean, with its interval over patients
    spread: dict[str, float]  # SD over seeds, by score
    seeds: int
    every: tuple[Row, ...] = ()  # every row of the primary read-out, with the parts of the pairs

    @property
    def first(self) -> Run:
        """The run that the pictures show."""
        return self.runs[0]

    @property
    def label(self) -> str:
        """``10 seeds · contrastive alone``, without the objective where that is the arm's name."""
        objective = self.first.objective if self.first.objective != self.name else ""
        return " · ".join(filter(None, (f"{self.seeds} seeds" if self.seeds > 1 else "", objective)))

    @property
    def title(self) -> str:
        """Name and objective, as in panels and legends."""
        objective = self.first.objective
        return f"{self.name}: {objective}" if objective not in ("", self.name) else self.name


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one line of a table is made of."""

    kind: str  # of titles.KINDS, and "run" for one seed of an arm
    name: str
    label: str
    step: int | str
    rows: dict[str, Row]
    spread: dict[str, float] = dataclasses.field(default_factory=dict)


def alone(run: Run) -> Arm:
    """An arm of one run."""
    return Arm(run.name, (run,), run.rows, {}, 1, run.primary)


def group(runs: Sequence[Run], folder: pathlib.Path) -> tuple[list[Arm], list[str]]:
    """Arms in the order of their first runs, and sentences on what in ``folder/arms.json`` does not match these runs.

    Raises:
      InputError: the file is damaged.
    """
    path, named = folder / FILE, {run.name: run for run in runs}
    found: dict[str, Arm] = {}
    said: list[str] = []
    for name, values in read_object(path, EVALUATE_AGAIN).items() if path.is_file() else ():
        rows, every, spread, members = averages(values, path)
        here = tuple(named[run] for run in members if run in named)
        if len(here) < len(members):
            gone = ", ".join(run for run in members if run not in named)
            said.append(f"{name}: {FILE} averages over {gone} too, of which there is no evaluation here. {_AGAIN}")
        elif (quantity := outdated(rows, here)) is not None:
            said.append(f"{name}: {FILE} is older than the scores of its runs ({quantity} differs). {_AGAIN}")
        if here:
            arm = Arm(name, here, rows, spread, len(members), every)
            found |= dict.fromkeys((run.name for run in here), arm)
    return list(dict.fromkeys(found.get(run.name) or alone(run) for run in runs)), said


def outdated(rows: dict[str, Row], runs: Sequence[Run]) -> str | None:
    """Name of the first score in ``rows`` that is not the mean over the runs; None if all are."""
    for name, row in rows.items():
        values = [run.rows[name].value for run in runs if name in run.rows]
        if row.value is None or len(values) < len(runs) or None in values:
            continue
        if differs(row.value, sum(values) / len(values)):
            return name
    return None


def differs(stored: float, current: float) -> bool:
    """Whether a stored score no longer is what its runs give."""
    return abs(stored - current) > _SAME * max(abs(current), _SAME)


def averages(
    values: dict[str, typing.Any], path: pathlib.Path
) -> tuple[dict[str, Row], tuple[Row, ...], dict[str, float], list[str]]:
    """Main rows, all rows, SD over seeds and run names of one arm, as written by evaluators/arms.py."""
    try:
        spread = {name: float(sd) for name, sd in values["sd_over_seeds"].items()}
        every = tuple(row for one in values.get("all", ()) for row in parse_rows([one], path).values())
        return parse_rows(values["rows"], path), every, spread, [str(run) for run in values["runs"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error!r}). {EVALUATE_AGAIN}") from error
