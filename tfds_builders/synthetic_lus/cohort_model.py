"""Who is scanned when, and with which score: the table of the synthetic cohort, before any pixel.

The latent severity of patient p at visit v is ``b_p + w_pv``: a level that differs between patients and a
mean-reverting path over the visits, because treated patients get worse and better. Its overall SD is near 1.
"""

import dataclasses

import numpy as np
from scipy.special import expit

from tfds_builders.errors import InputError

VIEWS = ("L1", "R1", "L2", "R2", "L3", "R3")
"""Zones of the BLUE protocol (left and right; upper, lower, posterolateral), in the order in which they are scanned."""

BEST, WORST = 470.0, 100.0  # room air, healthy: about 97 / 0.21 = 462 %; full oxygen, severe: about 100 %
CEILING = 100 / 0.21  # saturation of 100 % in room air: no measured score can be higher
MEMORY_DAYS = 5.0  # after this time a deviation from the patient's own level has shrunk to 1/e


@dataclasses.dataclass(frozen=True)
class Knobs:
    """What decides the synthetic cohort, completely.

    Raises:
      InputError: when a value is out of range, in a sentence that names the field.
    """

    n_patients: int = 200  # patients
    visits: int = 4  # visits of each patient
    views: int = 2  # lung zones scanned at each visit, 1 to 6: L1 R1 L2 R2 L3 R3
    clips_per_view: int = 1  # clips of each zone at each visit
    frames: int = 8  # frames of a clip
    size: int = 64  # height and width of a frame in pixels
    variance_ratio: float = 0.35  # SD of the latent severity within patients / SD between patients: smaller is harder
    identity: float = 1.0  # how strongly the patient changes the picture: 0 all patients alike, 1 as in life
    label_noise: float = 15.0  # SD of the measurement error of a visit's score, in score units
    null_fraction: float = 0.1  # share of patients whose true score never moves (null controls)
    seed: int = 0  # of everything that is random

    def __post_init__(self) -> None:
        low = {"n_patients": 1, "visits": 1, "views": 1, "clips_per_view": 1, "frames": 1, "size": 16, "seed": 0}
        high = {"views": len(VIEWS), "null_fraction": 1}
        for name, kind in ((field.name, field.type) for field in dataclasses.fields(self)):
            value, least, most = getattr(self, name), low.get(name, 0), high.get(name, np.inf)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            number = whole or (kind is float and isinstance(value, float | np.floating))
            if not (number and least <= value <= most and np.isfinite(value)):
                kind_words = "a whole number" if kind is int else "a number"
                range_words = f"from {least} to {most}" if np.isfinite(most) else f"of at least {least}"
                raise InputError(
                    f"synthetic_lus: {name} is {value!r}, but it must be {kind_words} {range_words}; set --{name}"
                )


@dataclasses.dataclass(frozen=True)
class Row:
    """One scan. ``severity`` is the latent that the picture shows and the score measures: for oracles only."""

    patient: int
    visit: int
    time_days: float  # since the patient's first visit
    view: str
    clip: int
    severity: float
    scores: dict[str, float]  # sf_ratio: as measured; sf_ratio_true: without the measurement error
    covariates: dict[str, float]  # null_control: 1 for a patient whose true score never moves, else 0


def stream(knobs: Knobs, what: str, *numbers: int) -> np.random.Generator:
    """The random numbers of one thing: they depend on the seed, the name and the numbers, and on no earlier draw."""
    return np.random.default_rng([knobs.seed, int.from_bytes(what.encode(), "little"), *numbers])


def score_of(severity: np.ndarray | float) -> np.ndarray | float:
    """The S/F ratio (SpO2 in per cent / FiO2, higher is better) of a latent severity; strictly falling.

    A logistic between 470 and 100, flat at the healthy end as the real one: with saturation near 100 % in room air a
    lung that gets still better is no longer seen in it. Severity 0 is 342, severity -2 is 456, severity 2 is 146.
    """
    return WORST + (BEST - WORST) * expit(1.3 * (0.5 - severity))


def trajectory(knobs: Knobs, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Days since the first visit f64 ``[visits]`` and latent severity f64 ``[visits]`` of one patient.

    The path is an Ornstein–Uhlenbeck process at irregular days. Visits that lie close together are alike, which would
    make the SD about a patient's own mean smaller than asked for, so the path is divided by its expected SD there.
    """
    rng = stream(knobs, "course", patient)
    gaps = np.ceil(rng.lognormal(np.log(4.0), 0.7, knobs.visits))
    days = np.cumsum(gaps) - gaps[0]
    between = 1 / np.sqrt(1 + knobs.variance_ratio**2)
    level = between * rng.standard_normal()
    alike = np.exp(-np.abs(days[:, None] - days[None]) / MEMORY_DAYS)
    path = np.linalg.cholesky(alike) @ rng.standard_normal(knobs.visits)
    if knobs.visits > 1:
        path /= np.sqrt(1 - (alike.sum() - knobs.visits) / (knobs.visits * (knobs.visits - 1)))
    moves = 0.0 if is_null_control(knobs, patient) else knobs.variance_ratio * between
    return days, level + moves * path


def is_null_control(knobs: Knobs, patient: int) -> bool:
    """Null controls are spread evenly, so that their share holds in any range of patients and not on average only."""
    start = stream(knobs, "null").random()
    return int((patient + 1) * knobs.null_fraction + start) > int(patient * knobs.null_fraction + start)


def cohort_rows(knobs: Knobs) -> list[Row]:
    """One row per scan, in the order patient, visit, view, clip.

    A visit is measured once: all its scans carry the same ``sf_ratio``. More patients, views or clips leave the rows
    of those that were there as they are.
    """
    rows = []
    for patient in range(knobs.n_patients):
        days, severity = trajectory(knobs, patient)
        true = score_of(severity)
        error = knobs.label_noise * stream(knobs, "error", patient).standard_normal(knobs.visits)
        measured = np.clip(true + error, 0, CEILING)
        covariates = {"null_control": float(is_null_control(knobs, patient))}
        for visit in range(knobs.visits):
            scores = {"sf_ratio": float(measured[visit]), "sf_ratio_true": float(true[visit])}
            rows += [
                Row(
                    patient,
                    visit,
                    float(days[visit]),
                    view,
                    clip,
                    float(severity[visit]),
                    dict(scores),
                    dict(covariates),
                )
                for view in VIEWS[: knobs.views]
                for clip in range(knobs.clips_per_view)
            ]
    return rows
