"""The synthetic MRI cohort: scores mostly decline, identity is strong, severity reaches the picture where it should."""

import dataclasses

import numpy as np
import pytest

from tfds_builders.errors import InputError
from tfds_builders.synthetic_mri.anatomy import identity_of, scanner_of
from tfds_builders.synthetic_mri.cohort_model import site_of, trajectory
from tfds_builders.synthetic_mri.shapes import ball, inside, sheet
from tfds_builders.synthetic_mri.simulate import FIELD_MM, Knobs, cohort_rows, render, spacing

SMALL = Knobs(n_patients=3, visits=2, size=24)
SIDE = 32  # voxels of 6.5 mm


def volumes(knobs: Knobs, **changed) -> np.ndarray:
    """All scans f32 ``[patients visits t h w]``, their rows changed as told."""
    scans = [render(dataclasses.replace(row, **changed), knobs)[..., 0] for row in cohort_rows(knobs)]
    return np.stack(scans).astype(np.float32).reshape(knobs.n_patients, knobs.visits, *scans[0].shape)


def severities(knobs: Knobs) -> np.ndarray:
    """f64 ``[patients visits]``."""
    return np.array([row.severity for row in cohort_rows(knobs)]).reshape(knobs.n_patients, knobs.visits)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Root mean square over the voxels of the difference."""
    return np.sqrt(((a - b) ** 2).mean((-3, -2, -1)))


def box(scans: np.ndarray, up: tuple[int, int], front: tuple[int, int], right: tuple[int, int]) -> np.ndarray:
    """The part of volumes between two places along each axis, in mm from the middle."""
    n = scans.shape[-1]
    voxel = FIELD_MM / n
    (t0, t1), (h1, h0), (w0, w1) = (
        [round(n / 2 + sign * mm / voxel) for mm in ends] for sign, ends in ((1, up), (-1, front), (1, right))
    )
    return scans[..., t0:t1, h0:h1, w0:w1]


def ventricles(scans: np.ndarray) -> np.ndarray:
    """Volume of what is darker than 0.6 of white matter around the lateral ventricles, in parts of voxels."""
    middle = box(scans, (0, 36), (-36, 40), (-30, 30))
    white = np.percentile(middle, 80, axis=(-3, -2, -1), keepdims=True)
    return np.clip((0.6 * white - middle) / (0.4 * white), 0, 1).sum((-3, -2, -1))


def about_patient(values: np.ndarray) -> np.ndarray:
    """Deviation from the patient's own mean."""
    return values - values.mean(1, keepdims=True)


def test_seed_patient_visit_and_severity_change_the_volume():
    rows = cohort_rows(SMALL)
    scans = {render(row, SMALL).tobytes() for row in rows}
    assert len(scans) == len(rows) == 3 * 2
    reseeded = dataclasses.replace(SMALL, seed=1)
    assert render(rows[0], reseeded).tobytes() not in scans
    assert cohort_rows(reseeded) != rows
    assert render(dataclasses.replace(rows[0], severity=rows[0].severity + 0.1), SMALL).tobytes() not in scans


def test_rows_are_the_cohort_asked_for():
    knobs = Knobs(n_patients=60, visits=3, sites=4)
    rows = cohort_rows(knobs)
    assert [(r.patient, r.visit, r.view, r.clip) for r in rows] == [
        (p, v, "T1", 0) for p in range(60) for v in range(3)
    ]
    days = np.array([r.time_days for r in rows]).reshape(60, 3)
    assert (days[:, 0] == 0).all()
    assert 60 < np.diff(days).min() < np.median(np.diff(days)) == pytest.approx(270, rel=0.15)
    assert {r.site for r in rows} == {"scanner0", "scanner1", "scanner2", "scanner3"}
    assert all(r.site == f"scanner{site_of(knobs, r.patient)}" for r in rows)


def test_a_larger_cohort_keeps_the_smaller_one():
    larger = dataclasses.replace(SMALL, n_patients=5)
    kept = [row for row in cohort_rows(larger) if row.patient < 3]
    assert kept == cohort_rows(SMALL)
    np.testing.assert_array_equal(render(kept[4], larger), render(kept[4], SMALL))


@pytest.mark.parametrize("size", [16, 24, 33])
def test_a_volume_is_a_uint8_cube_with_dark_corners(size):
    knobs = Knobs(n_patients=1, size=size)
    scan = render(cohort_rows(knobs)[0], knobs)
    assert scan.dtype == np.uint8
    assert scan.shape == (size, size, size, 1)
    assert scan[-2:, :2, :2].mean() < 20
    assert 40 < scan.mean() < 90
    assert spacing(knobs) * size == FIELD_MM


def test_axes_run_as_those_of_brain_volumes():
    """The nose is air in front and below, the cranium is above, and a right ventricle is larger where it should be."""
    knobs = Knobs(n_patients=24, visits=1, size=SIDE)
    scans = volumes(knobs)[:, 0]
    mean = scans.mean(0)
    assert box(mean, (-60, -45), (62, 82), (-8, 8)).mean() < 0.6 * box(mean, (-60, -45), (0, 20), (-50, -35)).mean()
    assert box(mean, (92, 104), (90, 104), (-104, 104)).mean() < 0.4 * mean.mean()
    assert box(mean, (-104, -92), (-30, 30), (-30, 30)).mean() > mean.mean()
    dark = [-box(scans, (5, 30), (-25, 25), side).mean((-3, -2, -1)) for side in ((4, 22), (-22, -4))]
    lopsided = [identity_of(knobs, patient).lopsided for patient in range(24)]
    assert np.corrcoef(dark[0] - dark[1], lopsided)[0, 1] > 0.5


def test_severity_mostly_rises_at_individual_rates_and_turns_at_times():
    knobs = Knobs(n_patients=1000, null_fraction=0)
    courses = [trajectory(knobs, patient) for patient in range(1000)]
    steps = np.diff(np.stack([latent for _, latent in courses]))
    assert 0.65 < (steps > 0).mean() < 0.85
    rates = np.array([np.polyfit(days, latent, 1)[0] for days, latent in courses])
    assert 0.03 < (rates < 0).mean() < 0.2
    assert rates.std() > 0.5 * rates.mean()


def test_measured_score_is_whole_points_near_the_true_one():
    rows = cohort_rows(Knobs(n_patients=1500, label_noise=1.5))
    seen, true = (np.array([r.scores[name] for r in rows]) for name in ("mmse", "mmse_true"))
    assert (seen == np.rint(seen)).all()
    assert seen.min() >= 0
    assert seen.max() == 30
    middle = (true > 6) & (true < 24)
    # Rounding adds a twelfth of a point squared.
    assert (seen - true)[middle].std() == pytest.approx(np.sqrt(1.5**2 + 1 / 12), rel=0.06)


def test_identity_zero_makes_all_patients_and_scanners_alike():
    alike, alone = Knobs(identity=0), Knobs()
    for of in (identity_of, scanner_of):
        np.testing.assert_equal(dataclasses.asdict(of(alike, 0)), dataclasses.asdict(of(alike, 3)))
        with pytest.raises(AssertionError):
            np.testing.assert_equal(dataclasses.asdict(of(alone, 0)), dataclasses.asdict(of(alone, 3)))
    assert site_of(alone, 0) != site_of(alone, 3)


def test_patients_of_one_site_share_its_scanner():
    knobs = Knobs(n_patients=20)
    one, *others = [p for p in range(20) if site_of(knobs, p) == 0]
    for other in others:
        np.testing.assert_equal(
            dataclasses.asdict(scanner_of(knobs, one)), dataclasses.asdict(scanner_of(knobs, other))
        )


def test_identity_strength_decides_how_far_patients_look_apart():
    def share_between(identity: float) -> float:
        scans = volumes(Knobs(n_patients=10, visits=3, size=24, identity=identity))
        return 1 - scans.var(1, ddof=1).mean(0).sum() / scans.reshape(30, 24, 24, 24).var(0, ddof=1).sum()

    none, some, full = (share_between(identity) for identity in (0, 0.4, 1))
    assert none < 0.2 < some < full
    assert full > 0.8


@pytest.fixture(scope="module")
def cohort() -> Knobs:
    return Knobs(n_patients=20, visits=4, size=SIDE, null_fraction=0)


@pytest.fixture(scope="module")
def scans(cohort) -> np.ndarray:
    """f32 ``[20 4 t h w]``."""
    return volumes(cohort)


def test_patients_differ_far_more_than_visits(cohort, scans):
    within = np.mean([apart(scans[:, i], scans[:, j]) for i in range(4) for j in range(i)])
    first = volumes(dataclasses.replace(cohort, visits=1), severity=0.0)[:, 0]
    between = np.mean([apart(first[i], first[j]) for i in range(20) for j in range(i)])
    assert between > 2.5 * within
    healthier, sicker = (volumes(dataclasses.replace(cohort, visits=1), severity=s)[:, 0] for s in (-0.45, 0.45))
    assert between > 15 * apart(healthier, sicker).mean()


def test_ventricles_tell_the_severity_within_a_patient_better_than_between(cohort, scans):
    size, severity = ventricles(scans), severities(cohort)
    within = np.corrcoef(about_patient(size).ravel(), about_patient(severity).ravel())[0, 1]
    between = np.corrcoef(size.mean(1), severity.mean(1))[0, 1]
    assert within > 0.8
    assert between < 0.75
    assert size.mean(1).std() > 3 * size.std(1).mean()


@pytest.fixture(scope="module")
def by_severity() -> np.ndarray:
    """Scans of the same head, each lying a little differently, at five severities, f32 ``[5 patients t h w]``."""
    knobs = Knobs(n_patients=12, visits=1, size=SIDE, identity=0)
    return np.stack([volumes(knobs, severity=severity)[:, 0] for severity in (-2.0, -1.0, 0.0, 1.0, 2.0)])


def test_severity_never_reaches_the_mean_brightness(by_severity):
    means = by_severity.mean((2, 3, 4))
    assert np.ptp(means, axis=0).max() < 0.5
    assert np.ptp(means, axis=1).min() > 3  # while the scanner's gain does


def test_ventricles_grow_with_severity(by_severity):
    sizes = ventricles(by_severity).mean(1)
    assert (np.diff(sizes) > 0).all()
    assert sizes[-1] > 1.5 * sizes[0]


def test_hippocampi_shrink_into_their_horns(by_severity):
    """Where they lie it gets darker against the brain stem."""
    places = [box(by_severity, (-26, -13), (-20, 0), side).mean((1, 2, 3, 4)) for side in ((21, 33), (-33, -21))]
    stem = box(by_severity, (-55, -35), (-20, -12), (-6, 6)).mean((1, 2, 3, 4))
    assert (np.diff(sum(places) / stem) < 0).all()


def test_cortex_gives_way_to_csf(by_severity):
    top = box(by_severity, (45, 70), (-40, 40), (-30, 30)).mean((1, 2, 3, 4))
    scalp = box(by_severity, (72, 88), (-20, 20), (-20, 20)).mean((1, 2, 3, 4))
    assert (np.diff(top / scalp) < 0).all()


def test_white_matter_loses_its_contrast_to_the_nuclei(by_severity):
    white = np.percentile(box(by_severity, (25, 45), (-50, 50), (-45, 45)), 90, axis=(2, 3, 4)).mean(1)
    nuclei = sum(box(by_severity, (-5, 12), (-8, 16), side).mean((1, 2, 3, 4)) for side in ((20, 30), (-30, -20)))
    assert (np.diff(white / nuclei) < 0).all()


def test_noise_of_the_air_tells_the_scanner():
    knobs = Knobs(n_patients=24, visits=1, size=24)
    air = volumes(knobs)[:, 0, -3:, :3, :].mean((1, 2, 3))
    noise = np.array([scanner_of(knobs, patient).noise for patient in range(24)])
    assert np.corrcoef(air, noise)[0, 1] > 0.9


def test_volumes_of_shapes_are_those_of_geometry():
    at = (np.arange(60) - 29.5) * 2.0
    z, y, x = np.meshgrid(at, at, at, indexing="ij")
    filled = inside(ball(x - 3, y, z + 1, (20, 30, 40)), 2.0).sum() * 2.0**3
    assert filled == pytest.approx(4 / 3 * np.pi * 20 * 30 * 40, rel=0.005)
    for half in (0.3, 1.0, 5.0):  # mm, of a sheet that lies anywhere between voxels of 2 mm
        assert sheet(x - 0.37, half, 2.0).sum() * 2.0 == pytest.approx(2 * half * 60**2, rel=1e-6)


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (True, "True"), (2.0, "2.0")])
def test_sites_are_a_whole_number(value, shown):
    with pytest.raises(InputError) as caught:
        Knobs(sites=value)
    assert f"synthetic_mri: sites is {shown}, but it must be a whole number of at least 1; set --sites" in str(
        caught.value
    )
