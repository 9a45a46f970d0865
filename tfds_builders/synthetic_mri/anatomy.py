"""What a volume depends on besides severity: the patient, the scanner and the single acquisition.

Lengths are in mm, for a head of average size.
"""

import dataclasses

import numpy as np

from tfds_builders.simulated_cohort import Row, own_values, stream
from tfds_builders.synthetic_mri.cohort_model import Knobs, site_of

N_WAVES = 24  # plane waves in a random pattern


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A smooth random field, the real part of ``sum_k c_k exp(i w_k·x)``, with mean 0 and SD 1."""

    waves: np.ndarray  # f64[N_WAVES, 3] in radians per mm, all of the same length
    amplitudes: np.ndarray  # c128[N_WAVES]


@dataclasses.dataclass(frozen=True)
class Identity:
    """One patient; the same at all visits."""

    scale: np.ndarray  # of the head f64[3] along right, front and top
    taper: float  # how much narrower the head gets per mm to the front
    torque: float  # mm to the right per mm to the front: the two halves of a brain differ
    skull: float  # thickness
    scalp: float
    fat: float  # grey value of the scalp
    ventricles: float  # log of their width relative to the average
    ventricle_length: float
    lopsided: float  # share by which the right ventricle is wider than the mean of both
    sulci: float  # log of their width relative to the average
    cortex: float  # thickness
    hippocampi: float  # log of their width relative to the average
    white: float  # grey values
    grey: float
    lesions: float  # load of white-matter lesions, in severity
    cerebellum: float  # size relative to the average
    reserve: float  # added to the severity that the brain shows: how much it bears at the same score
    folding: Pattern  # sulci lie where it is 0
    texture: Pattern  # lesions and muscle lie where it is high


@dataclasses.dataclass(frozen=True)
class Scanner:
    """The scanner of a site; the same for all its patients."""

    gamma: float  # contrast curve
    noise: float  # SD, in grey values of 0 to 1
    blur: float  # SD of the point spread in mm
    coil: np.ndarray  # log sensitivity f64[3, 2]: slope and bend along right, front and top, at the edge


@dataclasses.dataclass(frozen=True)
class Acquisition:
    """One scan: how the head lay and how the scanner was tuned this time."""

    turn: np.ndarray  # rotation vector f64[3] in radians about right, front and top
    shift: np.ndarray  # f64[3] in mm to the right, front and top
    brightness: float  # mean grey value of the head
    gamma: float  # added to the scanner's
    coil: np.ndarray  # added to the scanner's


def identity_of(knobs: Knobs, patient: int) -> Identity:
    """The patient's own values; with ``knobs.identity = 0`` they are the same for everyone."""
    own = own_values(knobs, stream(knobs, "identity", patient))
    size = own(1, 0.035, 0.88, 1.08)
    return Identity(
        scale=size * np.array([own(1, 0.03, 0.9, 1.1), own(1, 0.025, 0.9, 1.08), own(1, 0.03, 0.9, 1.1)]),
        taper=own(0.0008, 0.0006, -0.001, 0.0025),
        torque=own(0.0, 0.025, -0.08, 0.08),
        skull=own(6, 1.2, 3, 10),
        scalp=own(6, 1.5, 3, 11),
        fat=own(0.85, 0.08, 0.6, 1.0),
        ventricles=own(0, 0.2, -0.5, 0.5),
        ventricle_length=own(32, 4, 22, 42),
        lopsided=own(0, 0.12, -0.35, 0.35),
        sulci=own(0, 0.25, -0.7, 0.7),
        cortex=own(4.0, 0.4, 2.8, 5.2),
        hippocampi=own(0, 0.1, -0.3, 0.25),
        white=own(0.78, 0.03, 0.7, 0.86),
        grey=own(0.45, 0.025, 0.38, 0.52),
        lesions=own(0, 0.7, -2, 2),
        cerebellum=own(1, 0.06, 0.85, 1.15),
        reserve=own(0, 0.5, -1.5, 1.5),
        folding=_pattern(knobs, "folding", patient, 32.0),
        texture=_pattern(knobs, "texture", patient, 24.0),
    )


def _pattern(knobs: Knobs, what: str, patient: int, length: float) -> Pattern:
    """Waves of one length in mm: a part that all share plus the patient's own, scaled by ``knobs.identity``."""
    common, own = stream(knobs, what), stream(knobs, what, patient)
    waves = common.standard_normal((N_WAVES, 3))
    waves *= 2 * np.pi / length / np.linalg.norm(waves, axis=1, keepdims=True)
    parts = [rng.standard_normal((N_WAVES, 2)) @ [1, 1j] for rng in (common, own)]
    amplitudes = 0.4 * parts[0] + knobs.identity * parts[1]
    return Pattern(waves, amplitudes * np.sqrt(2) / np.linalg.norm(amplitudes))


def scanner_of(knobs: Knobs, patient: int) -> Scanner:
    """The scanner of the patient's site; with ``knobs.identity = 0`` all scanners are alike."""
    rng = stream(knobs, "scanner", site_of(knobs, patient))
    own = own_values(knobs, rng)
    return Scanner(
        gamma=own(1, 0.12, 0.75, 1.3),
        noise=own(0.02, 0.006, 0.008, 0.04),
        blur=own(1.8, 0.6, 0.6, 3.5),
        coil=np.clip(knobs.identity * 0.1 * rng.standard_normal((3, 2)), -0.3, 0.3),
    )


def acquisition_of(knobs: Knobs, row: Row) -> Acquisition:
    """The random circumstances of one scan, which do not depend on ``knobs.identity``.

    The head lies as after a rigid registration that is off by half a degree and half a millimetre.
    """
    rng = stream(knobs, "acquisition", row.patient, row.visit, row.clip)
    return Acquisition(
        turn=0.01 * rng.standard_normal(3),
        shift=0.5 * rng.standard_normal(3),
        brightness=0.4 + 0.012 * rng.standard_normal(),
        gamma=0.02 * rng.standard_normal(),
        coil=0.03 * rng.standard_normal((3, 2)),
    )
