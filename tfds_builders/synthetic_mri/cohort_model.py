"""The table of the synthetic cohort: who is scanned when, on which scanner and with which score.

A patient's severity over the visits is a decline at the patient's own rate plus a mean-reverting fluctuation around it.
A few rates are negative: those patients get better.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from scipy.special import expit

from tfds_builders import simulated_cohort
from tfds_builders.simulated_cohort import Row, is_null_control, stream

VIEW = "T1"
HIGHEST = 30.0  # points of the Mini-Mental State Examination
GAP_DAYS, GAP_SPREAD = 270.0, 0.3  # median of the gap between visits, and SD of its logarithm
MEMORY_DAYS = 200.0  # in which a deviation from the patient's own decline shrinks to 1/e
RATE_SPREAD = 0.6  # SD of the rates of decline over their mean: about 1 in 20 is negative
FLUCTUATION = 0.25  # its share of the variance within patients; the rest is the decline


@dataclasses.dataclass(frozen=True)
class Knobs(simulated_cohort.Knobs):
    """Everything that determines the synthetic cohort.

    Raises:
      InputError: a value is out of range; the message names the field.
    """

    DATASET: ClassVar[str] = "synthetic_mri"
    LEAST: ClassVar[dict[str, int]] = {**simulated_cohort.Knobs.LEAST, "size": 16, "sites": 1}

    variance_ratio: float = 0.5  # SD of the latent severity within patients / SD between patients: smaller is harder
    identity: float = 1.0  # how strongly patient and scanner change the picture: 0 all alike, 1 as in life
    label_noise: float = 1.0  # SD of the measurement error of a visit's score before it is rounded; 0: the true score
    size: int = 32  # voxels along each side of the volume, which is a cube of 208 mm
    sites: int = 3  # scanners; each patient stays on one


def score_of(severity: np.ndarray | float) -> np.ndarray | float:
    """The true MMSE (0 to 30, higher is better) of a latent severity; strictly decreasing.

    A logistic between 30 and 0, with the ceiling of the real score. Severity -2 gives 29.7, 0 gives 26.5, 2 gives 12.3.
    """
    return HIGHEST * expit(1.2 * (1.7 - severity))


def measured(knobs: Knobs, patient: int, true: np.ndarray) -> np.ndarray:
    """The measured score f64 ``[visits]``: ``round(true + error)`` within 0 to 30, since the test gives whole points.

    With ``knobs.label_noise = 0`` it is the true score, unrounded.
    """
    error = knobs.label_noise * stream(knobs, "error", patient).standard_normal(knobs.visits)
    return np.clip(np.rint(true + error), 0, HIGHEST) if knobs.label_noise else true


def trajectory(knobs: Knobs, patient: int) -> tuple[np.ndarray, np.ndarray]:
    """Days since the first visit f64 ``[visits]`` and latent severity f64 ``[visits]`` of one patient.

    Real atrophy is hardly reversible. Here the picture shows fluctuations too, or else time alone would order the
    visits.
    """
    rng = stream(knobs, "course", patient)
    days = simulated_cohort.visit_days(rng, knobs.visits, GAP_DAYS, GAP_SPREAD)
    level = rng.standard_normal()
    rate = (1 + RATE_SPREAD * rng.standard_normal()) / np.sqrt(1 + RATE_SPREAD**2)
    decline = rate * (days - days.mean()) / _spread_of_days(knobs.visits)
    wave = simulated_cohort.mean_reverting(rng, days, MEMORY_DAYS)
    path = np.sqrt(1 - FLUCTUATION) * decline + np.sqrt(FLUCTUATION) * wave
    return days, simulated_cohort.severity(knobs, patient, level, path)


def _spread_of_days(visits: int) -> float:
    """Square root of the expected variance of a patient's days.

    The days between two visits k gaps apart have k times the mean, and k times the variance, of one gap.
    """
    mean = GAP_DAYS * np.exp(GAP_SPREAD**2 / 2)
    variance = mean**2 * (np.exp(GAP_SPREAD**2) - 1)
    apart = np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))
    return np.sqrt((apart * variance + (apart * mean) ** 2).sum() / 2 / max(1, visits * (visits - 1))) or 1.0


def site_of(knobs: Knobs, patient: int) -> int:
    """Number of the scanner on which the patient is always scanned; it is independent of severity."""
    return int(stream(knobs, "site", patient).integers(knobs.sites))


def cohort_rows(knobs: Knobs) -> list[Row]:
    """One row per scan, in the order patient, visit. Adding patients does not change the rows of the others."""
    return [row for patient in range(knobs.n_patients) for row in _rows_of(knobs, patient)]


def _rows_of(knobs: Knobs, patient: int) -> list[Row]:
    days, severity = trajectory(knobs, patient)
    true = score_of(severity)
    seen = measured(knobs, patient, true)
    null, site = float(is_null_control(knobs, patient)), f"scanner{site_of(knobs, patient)}"
    return [
        Row(
            patient=patient,
            visit=visit,
            time_days=float(days[visit]),
            view=VIEW,
            clip=0,
            severity=float(severity[visit]),
            scores={"mmse": float(seen[visit]), "mmse_true": float(true[visit])},
            covariates={"null_control": null},
            site=site,
        )
        for visit in range(knobs.visits)
    ]
