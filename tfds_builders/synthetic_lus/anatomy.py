"""What a clip depends on besides severity: the patient, the patient's lung zone, and the single acquisition.

Lengths along depth are fractions of the picture's depth; lateral positions ``u`` run from -1 to 1 across the probe.
"""

import dataclasses

import numpy as np

from tfds_builders.simulated_cohort import Row, own_values, stream
from tfds_builders.synthetic_lus.cohort_model import VIEWS, Knobs

N_SITES = 9  # positions in a zone where a B-line may arise
N_WAVES = 5  # waves in a smooth pattern across the probe


@dataclasses.dataclass(frozen=True)
class Identity:
    """One patient under one probe; the same at all visits and in all zones."""

    linear: bool  # a linear probe, else a convex one
    half_angle: float  # of the fan, in radians
    probe_radius: float  # of a convex probe
    pleura_depth: float  # habitus: how much chest wall lies above the lung
    attenuation_db: float  # from top to bottom
    brightness: float  # mean grey value of the fan, 0 to 1, that the operator's gain aims at
    dynamic_range_db: float
    tgc_db: float  # bend of the time-gain curve
    grain_axial: float  # speckle size
    grain_lateral: float
    wall_db: float  # echo of the chest wall
    haze_db: float  # echo of the lung field without artefacts
    pleura_db: float
    a_line_db: float
    b_line_db: float
    susceptibility: float  # shift of all B-line thresholds, in severity


@dataclasses.dataclass(frozen=True)
class Zone:
    """One anatomical view of one patient; the same at all visits."""

    offset: float  # severity here minus the patient's
    ribs: np.ndarray  # lateral positions f64[2]
    rib_width: float
    tilt: float
    bend: float
    layers: np.ndarray  # strength of the fasciae of the chest wall f64[8], in dB
    waves: np.ndarray  # amplitudes of the pleura's irregularity f64[N_WAVES, 2]
    breaks: np.ndarray  # the same for its gaps
    sites: np.ndarray  # lateral positions of possible B-lines f64[N_SITES]
    thresholds: np.ndarray  # severity at which each of them lights up f64[N_SITES]


@dataclasses.dataclass(frozen=True)
class Acquisition:
    """One clip: how the probe was held and the gain set this time."""

    shift: float  # lateral
    depth_factor: float  # pressure on the probe
    tilt: float
    gain: float  # added to the target brightness
    tgc_db: float  # added to the patient's
    coupling_db: float  # how squarely the beam meets the pleura: all echoes from there on
    a_line_db: float  # of A-lines alone: an oblique beam does not echo back and forth
    phase: float  # of breathing at the first frame
    sites_moved: np.ndarray  # f64[N_SITES]
    thresholds_moved: np.ndarray  # f64[N_SITES]
    flicker: np.ndarray  # phase of each B-line's flicker f64[N_SITES]


def identity_of(knobs: Knobs, patient: int) -> Identity:
    """The patient's own values; with ``knobs.identity = 0`` they are the same for everyone."""
    rng = stream(knobs, "identity", patient)
    own = own_values(knobs, rng)
    return Identity(
        linear=bool(rng.random() < 0.25 * min(knobs.identity, 1)),
        half_angle=own(0.52, 0.1, 0.35, 0.8),
        probe_radius=own(0.65, 0.15, 0.3, 1.1),
        pleura_depth=own(0.24, 0.055, 0.14, 0.38),
        attenuation_db=own(20, 6, 6, 36),
        brightness=own(0.23, 0.05, 0.12, 0.4),
        dynamic_range_db=own(52, 6, 38, 66),
        tgc_db=own(0, 4, -10, 10),
        grain_axial=own(0.011, 0.003, 0.006, 0.02),
        grain_lateral=own(0.035, 0.012, 0.015, 0.08),
        wall_db=own(-16, 4, -26, -6),
        haze_db=own(-22, 5, -36, -10),
        pleura_db=own(6, 2, 0, 12),
        a_line_db=own(-2, 4, -12, 8),
        b_line_db=own(-6, 4, -16, 4),
        susceptibility=own(0, 0.5, -1.5, 1.5),
    )


def zone_of(knobs: Knobs, patient: int, view: str) -> Zone:
    """What the view has in common in all patients, plus this patient's own part, scaled by ``knobs.identity``."""
    number = VIEWS.index(view)
    common, own = stream(knobs, "zone", number), stream(knobs, "zone", number, patient)

    def mixed(sd: float, *shape: int) -> np.ndarray:
        return sd * (0.5 * common.standard_normal(shape) + knobs.identity * own.standard_normal(shape))

    return Zone(
        offset=float(mixed(0.4)),
        ribs=np.array([-0.75, 0.75]) + mixed(0.2, 2),
        rib_width=float(np.clip(0.27 + mixed(0.05), 0.12, 0.4)),
        tilt=float(mixed(0.02)),
        bend=float(mixed(0.015)),
        layers=mixed(8.0, 8),
        waves=mixed(1.0, N_WAVES, 2),
        breaks=mixed(1.0, N_WAVES, 2),
        sites=np.linspace(-0.8, 0.8, N_SITES) + mixed(0.08, N_SITES),
        thresholds=_spread(common) + mixed(0.6, N_SITES),
    )


def _spread(rng: np.random.Generator) -> np.ndarray:
    """Thresholds f64[N_SITES] from -1.2 to 2 in random order, so that each step of severity lights up another site."""
    return rng.permutation(np.linspace(-1.2, 2.0, N_SITES))


def acquisition_of(knobs: Knobs, row: Row) -> Acquisition:
    """The random circumstances of one clip, which do not depend on ``knobs.identity``."""
    rng = stream(knobs, "acquisition", row.patient, row.visit, VIEWS.index(row.view), row.clip)
    return Acquisition(
        shift=0.06 * rng.standard_normal(),
        depth_factor=float(np.exp(0.03 * rng.standard_normal())),
        tilt=0.008 * rng.standard_normal(),
        gain=0.02 * rng.standard_normal(),
        tgc_db=2.0 * rng.standard_normal(),
        coupling_db=3.0 * rng.standard_normal(),
        a_line_db=2.0 * rng.standard_normal(),
        phase=2 * np.pi * rng.random(),
        sites_moved=0.03 * rng.standard_normal(N_SITES),
        thresholds_moved=0.3 * rng.standard_normal(N_SITES),
        flicker=2 * np.pi * rng.random(N_SITES),
    )
