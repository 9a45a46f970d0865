"""The table of the synthetic cohort: who is scanned when, and with which score.

A patient's severity follows a mean-reverting path over the visits, because treated patients get worse and better.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from scipy.special import expit

from tfds_builders import simulated_cohort
from tfds_builders.simulated_cohort import Row, is_null_control, stream

VIEWS = ("L1", "R1", "L2", "R2", "L3", "R3")
"""Zones of the BLUE protocol (left and right; upper, lower, posterolateral), in the order in which they are scanned."""

BEST, WORST = 470.0, 100.0  # room air, healthy: about 97 / 0.21 = 462 %; full oxygen, severe: about 100 %
CEILING = 100 / 0.21  # saturation of 100 % in room air: no measured score can be higher
MEMORY_DAYS = 5.0  # in which a deviation from the patient's own level shrinks to 1/e


@dataclasses.dataclass(frozen=True)
class Knobs(simulated_cohort.Knobs):
    """Everything that determines the synthetic cohort.

    Raises:
      InputError: a value is out of range; the message names the field.
    """

    DATASET: ClassVar[str] = "synthetic_lus"
    LEAST: ClassVar[dict[str, int]] = {
        **simulated_cohort.Knobs.LEAST,
        **{"views": 1, "clips_per_view": 1, "frames": 1, "size": 16},
    }
    MOST: ClassVar[dict[str, int]] = {**simulated_cohort.Knobs.MOST, "views": len(VIEWS)}

    label_noise: float = 15.0  # SD of the measurement error of a visit's score, in score units
    views: int = 2  # lung zones scanned at each visit, 1 to 6: L1 R1 L2 R2 L3 R3
    clips_per_view: int = 1  # clips of each zone at each visit
    frames: int = 8  # frames of a clip
    size: int = 64  # height and width of a frame in pixels


def score_of(severity: np.ndarray | float) -> np.ndarray | float:
    """The S/F ratio (SpO2 in percent / FiO2, higher is better) of a latent severity; strictly decreasing.

    A logistic between 470 and 100. Like the real ratio it is flat at the healthy end: once saturation in room air is
    near 100 %, it no longer shows further improvement. Severity -2 gives 456, 0 gives 342, 2 gives 146.
    """
    return WORST + (BEST - WORST) * expit(1.3 * (0.5 - severity))


def trajectory(knobs: Knobs, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Days since the first visit f64 ``[visits]`` and latent severity f64 ``[visits]`` of one patient."""
    rng = stream(knobs, "course", patient)
    days = simulated_cohort.visit_days(rng, knobs.visits, 4.0, 0.7)
    level = rng.standard_normal()
    path = simulated_cohort.mean_reverting(rng, days, MEMORY_DAYS)
    return days, simulated_cohort.severity(knobs, patient, level, path)


def cohort_rows(knobs: Knobs) -> list[Row]:
    """One row per scan, in the order patient, visit, view, clip.

    A visit is measured once, so all its scans have the same ``sf_ratio``. Adding patients, views or clips does not
    change the rows of the others.
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
                Row(patient, visit, float(days[visit]), view, clip, float(severity[visit]), scores, covariates)
                for view in VIEWS[: knobs.views]
                for clip in range(knobs.clips_per_view)
            ]
    return rows
