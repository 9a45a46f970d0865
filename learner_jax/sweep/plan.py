"""What a sweep file says: which arms are compared, in which settings, on which datasets and with which budget.

A file in ``configs/sweeps/`` returns a :class:`Sweep` from ``get_sweep()``. Comparisons are fair by construction: the
fields in :data:`SHARED` belong to a setting, so all arms see the same patients, scores and split; runs with the same
seed see scans in the same order; and all runs have the same budget.
"""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learner_jax.config import Config
from learner_jax.fields import check_override
from learner_jax.report.titles import IN_SCORE_UNITS, TITLES
from learner_jax.sweep.source import returned
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest

Fields = Mapping[str, Any]  # dotted path of a field of the config -> its value

# Fields that an arm may not set, by the start of their paths: arms that differ in them cannot be compared.
SHARED = (
    *("data.dir", "data.split", "data.score", "data.visits_per_patient", "data.train_patients"),
    *("data.draw", "seed", "steps", "eval.", "init_from"),
)
_WORD = r"[\w.+=-]+"
_NAME = re.compile(
    rf"(?!\.){_WORD}( {_WORD})*"
)  # of a study, setting or arm: names a folder, and is listed between commas
_CHOICES = [name for name in TITLES if name not in (*IN_SCORE_UNITS, "brier")]  # scores that are better when higher
_BUDGETS = ("steps", "examples", "flops", "seconds")
_KINDS = {  # fields of a study -> what they are
    **dict.fromkeys(("name", "config", "reference", "choose_by"), (str, "a text")),
    **dict.fromkeys(("arms", "settings", "fields"), (Mapping, "a dictionary")),
    **dict.fromkeys(("seeds", "learning_rates", "also"), ((list, tuple, range), "a tuple or list")),
}


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every run of a study may spend on training; exactly one of the four is set.

    Attributes:
      steps: number of batches.
      examples: number of scans seen, whatever the batch size.
      flops: operations of the backbone, forward and backward.
      seconds: of training steps, without start-up and scoring, on the device at hand, whose speed is measured first.
    """

    steps: int = 0
    examples: int = 0
    flops: int | float = 0
    seconds: int | float = 0

    @property
    def kind(self) -> str:
        """Which of the four is set."""
        (kind,) = (kind for kind in _BUDGETS if getattr(self, kind))
        return kind

    @property
    def amount(self) -> int | float:
        """Its value."""
        return getattr(self, self.kind)


@dataclasses.dataclass(frozen=True)
class Study:
    """Arms that are compared with one another, in one or several settings.

    Attributes:
      name: also of its folder.
      config: file that all runs start from, such as ``configs/demo.py``.
      arms: what is compared, as name -> fields.
      budget: of every run.
      reference: the arm that the others are tested against; empty: the first.
      settings: conditions in each of which all arms are compared, as name -> fields, such as datasets, folds
        (``data.split``) or numbers of patients. A curve is drawn over settings called ``what=number``.
      fields: of all runs.
      seeds: each draws its own weights, orders, training patients and visits (``seed`` and ``data.draw``).
      learning_rates: tried for every arm of every setting with the first seed; the choice is made on validation
        patients alone. Empty: the config's.
      choose_by: the score by which to choose, which the board shows; higher must be better.
      also: further scores that the board shows, as the evaluator names them, followed by their part if they have one:
        ``null_trend``, ``pairwise_accuracy from day 2.77``.
      needs_real_data: the study is skipped if ``LEARNER_REAL_DATA`` names no folder.
    """

    name: str
    config: str
    arms: Mapping[str, Fields]
    budget: Budget
    reference: str = ""
    settings: Mapping[str, Fields] = dataclasses.field(default_factory=lambda: {"all": {}})
    fields: Fields = dataclasses.field(default_factory=dict)
    seeds: Sequence[int] = (0, 1, 2)
    learning_rates: Sequence[float] = ()
    choose_by: str = "pairwise_accuracy"
    also: Sequence[str] = ()
    needs_real_data: bool = False

    @property
    def against(self) -> str:
        """Name of the reference arm."""
        return self.reference or next(iter(self.arms))


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Everything in one sweep file.

    Attributes:
      studies: in the order of the board.
      datasets: name -> the commands that build it one after the other, without ``python -m``. ``{dir}`` stands for the
        folder to build into, ``{real}`` for that of the real scans. A ``data.dir`` may be the name of a dataset.
    """

    studies: Sequence[Study]
    datasets: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


def grid(**axes: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """All combinations as arms or settings: ``grid(backbone__name=[…], objective__name=[…])``; ``__`` stands for a dot.

    A combination is named by its values, with spaces between them.
    """
    paths = [axis.replace("__", ".") for axis in axes]
    combined = itertools.product(*axes.values())
    return {" ".join(map(str, values)): dict(zip(paths, values, strict=True)) for values in combined}


def load(path: str | Path) -> Sweep:
    """Load and check the sweep in a file.

    Raises:
      InputError: the file does not return a sweep, or :func:`check` refuses it.
    """
    sweep = returned(path, "get_sweep", Sweep)
    check(sweep)
    return sweep


def check(sweep: Sweep) -> None:
    """Refuse a sweep that cannot be run, or whose arms could not be compared.

    Raises:
      InputError: the message names the study and what is wrong with it.
    """
    if not isinstance(sweep.studies, list | tuple) or not all(isinstance(study, Study) for study in sweep.studies):
        raise InputError(f"the studies of the sweep are {sweep.studies!r}; they are a list of Study(…)")
    if not sweep.studies:
        raise InputError("the sweep has no studies")
    if not isinstance(sweep.datasets, Mapping):
        raise InputError(f"the datasets of the sweep are {sweep.datasets!r}; they are a dictionary")
    for name, commands in sweep.datasets.items():
        if not isinstance(commands, list | tuple):
            raise InputError(f"dataset {name!r} is {commands!r}; it is a list of the commands that build it")
    for study in sweep.studies:
        _check(study)
    _unlike("two studies", [folder(study.name) for study in sweep.studies])


def _check(study: Study) -> None:
    where = f"study {study.name!r}"
    for what, (kind, words) in _KINDS.items():
        if not isinstance(getattr(study, what), kind):
            raise InputError(f"{where}: {what} is {getattr(study, what)!r}; it is {words}")
    for name, fields in (*study.arms.items(), *study.settings.items()):
        if not isinstance(fields, Mapping):
            raise InputError(f"{where}: {name!r} is {fields!r}; it is a dictionary from fields of the config to values")
    if not isinstance(study.budget, Budget):
        raise InputError(f"{where}: budget is {study.budget!r}; it is a Budget, such as Budget(steps=500)")
    for name in (study.name, *study.arms, *study.settings):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{where}: {name!r} becomes a folder, and stands in lists with commas between; use letters, "
                "digits, spaces and . + = - _, and no point at its beginning"
            )
    for what, names in (("arms", study.arms), ("settings", study.settings), ("seeds", study.seeds)):
        if not names:
            raise InputError(f"{where} has no {what}")
        _unlike(f"{where}: two {what}", [folder(str(name)) for name in names])
    if sum(bool(getattr(study.budget, kind)) for kind in _BUDGETS) != 1 or study.budget.amount < 0:
        raise InputError(f"{where}: a budget is of one of {', '.join(_BUDGETS)}, and above 0")
    if study.choose_by not in _CHOICES:
        raise InputError(
            f"{where} chooses by {study.choose_by!r}, which is not a score for which higher is better; "
            f"{suggest(study.choose_by, _CHOICES)}"
        )
    if study.against not in study.arms:
        raise InputError(f"{where}: no arm is called {study.reference!r}; {suggest(study.reference, study.arms)}")
    for fields in (study.fields, *study.settings.values(), *study.arms.values()):
        for path in fields:
            check_override(Config, f"--config.{path}=")
    for arm, fields in study.arms.items():
        for path in fields:
            if path.startswith(SHARED):
                raise InputError(
                    f"{where}: arm {arm!r} sets {path}, in which arms must not differ: set it in a setting"
                )
    for path in (path for fields in (study.fields, *study.settings.values()) for path in fields):
        if path in ("seed", "data.draw", "steps", "eval.patients"):
            raise InputError(f"{where} sets {path}, which seeds, budget and stages of a sweep set themselves")


def _unlike(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{what} are called {name!r}; names must differ")


def folder(name: str) -> str:
    """The folder name of a study, setting or arm."""
    return name.replace(" ", "_")
