"""What simulated cohorts share: knobs and their checks, named random streams, courses over visits, the cohort table.

The latent severity of patient p at visit v is ``b_p + w_pv``: a level that differs between patients and a path over
the visits. Its overall SD is near 1.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class Knobs:
    """Everything that determines a simulated cohort; each dataset adds knobs of its own.

    Raises:
      InputError: a value is out of range; the message names the field.
    """

    DATASET: ClassVar[str]  # the dataset's name, for error messages
    LEAST: ClassVar[dict[str, int]] = {"n_patients": 1, "visits": 1}  # the least value of a knob; 0 if not named here
    MOST: ClassVar[dict[str, int]] = {"null_fraction": 1, "identity": 10}

    n_patients: int = 200  # patients
    visits: int = 4  # visits of each patient
    variance_ratio: float = 0.35  # SD of the latent severity within patients / SD between patients: smaller is harder
    identity: float = 1.0  # how strongly the patient changes the picture: 0 all patients alike, 1 as in life
    label_noise: float = 0.0  # SD of the measurement error of a visit's score, in score units
    null_fraction: float = 0.1  # share of patients whose true score never moves (null controls)
    seed: int = 0  # of everything that is random

    def __post_init__(self) -> None:
        for name, kind in ((field.name, field.type) for field in dataclasses.fields(self)):
            value, least, most = getattr(self, name), self.LEAST.get(name, 0), self.MOST.get(name, np.inf)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            number = whole or (kind is float and isinstance(value, float | np.floating))
            if not (number and least <= value <= most and np.isfinite(value)):
                kind_words = "a whole number" if kind is int else "a number"
                range_words = f"from {least} to {most}" if np.isfinite(most) else f"of at least {least}"
                raise InputError(
                    f"{self.DATASET}: {name} is {value!r}, but it must be {kind_words} {range_words}; set --{name}"
                )


@dataclasses.dataclass(frozen=True)
class Row:
    """One scan. ``severity`` is the latent variable that the picture shows and the score measures, for tests only."""

    patient: int
    visit: int
    time_days: float  # since the patient's first visit
    view: str
    clip: int  # number among the scans of this view at this visit
    severity: float
    scores: dict[str, float]  # as measured, and under NAME_true without the measurement error
    covariates: dict[str, float]  # null_control: 1 for a patient whose true score never moves, else 0
    site: str = ""


def stream(knobs: Knobs, what: str, *numbers: int) -> np.random.Generator:
    """A generator that depends on the seed, the name ``what`` and the numbers alone, not on earlier draws."""
    return np.random.default_rng([knobs.seed, int.from_bytes(what.encode(), "little"), *numbers])


def is_null_control(knobs: Knobs, patient: int) -> bool:
    """Whether the patient's true score never moves. Such patients are spread evenly, not drawn independently."""
    start = stream(knobs, "null").random()
    return int((patient + 1) * knobs.null_fraction + start) > int(patient * knobs.null_fraction + start)


def own_values(knobs: Knobs, rng: np.random.Generator) -> Callable[[float, float, float, float], float]:
    """A function of ``(mean, sd, low, high)`` that draws a value of one patient's, or scanner's, own.

    Normal, with its SD multiplied by ``knobs.identity`` (0: the mean, for everyone), and held within the limits.
    """

    def own(mean: float, sd: float, low: float, high: float) -> float:
        return float(np.clip(mean + knobs.identity * sd * rng.standard_normal(), low, high))

    return own


def visit_days(rng: np.random.Generator, visits: int, median: float, spread: float) -> np.ndarray:
    """Whole days since the first visit f64 ``[visits]``; gaps are log-normal with this median in days."""
    gaps = np.ceil(rng.lognormal(np.log(median), spread, visits))
    return np.cumsum(gaps) - gaps[0]


def mean_reverting(rng: np.random.Generator, days: np.ndarray, memory: float) -> np.ndarray:
    """An Ornstein–Uhlenbeck path at irregular days, f64 ``[visits]``; its correlation falls to 1/e in ``memory`` days.

    Visits close in time are alike, which would make the SD about a patient's own mean smaller than 1, so the path is
    divided by that SD's expected value.
    """
    visits = len(days)
    alike = np.exp(-np.abs(days[:, None] - days[None]) / memory)
    path = np.linalg.cholesky(alike) @ rng.standard_normal(visits)
    if visits > 1:
        path /= np.sqrt(1 - (alike.sum() - visits) / (visits * (visits - 1)))
    return path


def severity(knobs: Knobs, patient: int, level: float, path: np.ndarray) -> np.ndarray:
    """Latent severity f64 ``[visits]`` of one patient.

    Args:
      level: of the patient; SD 1 over patients.
      path: ``[visits]``, with SD 1 about the patient's mean. A null control stays at its level instead.
    """
    between = 1 / np.sqrt(1 + knobs.variance_ratio**2)
    moves = 0.0 if is_null_control(knobs, patient) else knobs.variance_ratio * between
    return between * level + moves * path


def table(source: str, rows: list[Row]) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The cohort as ``cohort_csv.read`` would return it, and the rows as builders take them: ``line`` and ``row``."""
    frame = pl.DataFrame(
        {
            "scan": f"{row.patient}/{row.visit}/{row.view}/{row.clip}",
            "source": source,
            "patient": str(row.patient),
            "site": row.site,
            "visit": row.visit,
            "time_days": float(row.time_days),
            "view": row.view,
            "acquisition": "",
            "processing": "",
            **{f"score.{name}": float(value) for name, value in row.scores.items()},
            **{f"covariate.{name}": float(value) for name, value in row.covariates.items()},
        }
        for row in rows
    )
    return frame, [{"line": i, "row": row} for i, row in enumerate(rows)]
