"""The synthetic cohort: its knobs do what they say, and severity reaches the picture only where it should."""

import dataclasses

import numpy as np
import pytest

from tfds_builders.errors import InputError
from tfds_builders.synthetic_lus.anatomy import identity_of, zone_of
from tfds_builders.synthetic_lus.cohort_model import CEILING, trajectory
from tfds_builders.synthetic_lus.simulate import Knobs, cohort_rows, render

SMALL = Knobs(n_patients=3, visits=2, views=2, clips_per_view=2, frames=3, size=32)


def test_seed_and_every_part_of_the_key_change_the_clip():
    rows = cohort_rows(SMALL)
    clips = {render(row, SMALL).tobytes() for row in rows}
    assert len(clips) == len(rows) == 3 * 2 * 2 * 2
    reseeded = dataclasses.replace(SMALL, seed=1)
    assert render(rows[0], reseeded).tobytes() not in clips
    assert cohort_rows(reseeded) != rows


def test_rows_are_the_cohort_asked_for():
    knobs = Knobs(n_patients=4, visits=3, views=6, clips_per_view=2)
    rows = cohort_rows(knobs)
    keys = [(r.patient, r.visit, r.view, r.clip) for r in rows]
    views = ("L1", "R1", "L2", "R2", "L3", "R3")
    assert keys == [(p, v, z, c) for p in range(4) for v in range(3) for z in views for c in range(2)]
    days = np.array([r.time_days for r in rows]).reshape(4, 3, 12)
    assert (days == days[:, :, :1]).all()
    assert (days[:, 0] == 0).all()
    gaps = np.diff(days[:, :, 0], axis=1)
    assert (gaps > 0).all()
    assert len(set(gaps.ravel())) > 2


def test_a_larger_cohort_keeps_the_smaller_one():
    larger = dataclasses.replace(SMALL, n_patients=6, views=3, clips_per_view=3)
    kept = [r for r in cohort_rows(larger) if r.patient < 3 and r.view in ("L1", "R1") and r.clip < 2]
    assert kept == cohort_rows(SMALL)
    np.testing.assert_array_equal(render(kept[5], larger), render(kept[5], SMALL))


@pytest.mark.parametrize("shape", [(3, 32), (1, 48), (8, 64)])
def test_a_clip_is_uint8_with_a_fan_that_stands_still(shape):
    frames, size = shape
    knobs = Knobs(n_patients=1, frames=frames, size=size)
    clip = render(cohort_rows(knobs)[0], knobs)
    assert clip.dtype == np.uint8
    assert clip.shape == (frames, size, size, 1)
    outside = clip == 0
    assert (outside == outside[:1]).all()
    assert 0.1 < outside.mean() < 0.7


def test_severity_goes_up_and_down():
    knobs = Knobs(n_patients=1000, null_fraction=0)
    change = np.diff(np.stack([trajectory(knobs, p)[1] for p in range(1000)]))
    assert 0.45 < (change > 0).mean() < 0.55
    turns = np.sign(change[:, 1:]) != np.sign(change[:, :-1])
    assert 0.4 < turns.mean() < 0.8


def test_label_noise_is_one_error_per_visit_of_the_sd_asked_for():
    knobs = Knobs(n_patients=1500, views=2, label_noise=12)
    rows = cohort_rows(knobs)
    error = np.array([r.scores["sf_ratio"] - r.scores["sf_ratio_true"] for r in rows]).reshape(1500, 4, 2)
    assert (error[..., 0] == error[..., 1]).all()
    far_from_ceiling = np.array([r.scores["sf_ratio_true"] for r in rows]).reshape(1500, 4, 2)[..., 0] < CEILING - 60
    assert error[..., 0][far_from_ceiling].std() == pytest.approx(12, rel=0.05)
    assert max(r.scores["sf_ratio"] for r in rows) <= CEILING


def test_identity_zero_makes_all_patients_alike():
    alike = Knobs(identity=0)
    assert identity_of(alike, 0) == identity_of(alike, 1)
    np.testing.assert_equal(dataclasses.asdict(zone_of(alike, 0, "R2")), dataclasses.asdict(zone_of(alike, 1, "R2")))
    assert zone_of(alike, 0, "R2").offset != zone_of(alike, 0, "L1").offset
    assert identity_of(Knobs(), 0) != identity_of(Knobs(), 1)


def test_identity_strength_decides_how_far_patients_look_apart():
    def share_between(identity: float) -> float:
        knobs = Knobs(n_patients=12, visits=3, views=1, frames=4, size=32, identity=identity)
        mean_frames = np.stack([render(r, knobs).mean(0) for r in cohort_rows(knobs)]).reshape(12, 3, -1)
        return 1 - mean_frames.var(1, ddof=1).mean(0).sum() / mean_frames.reshape(36, -1).var(0, ddof=1).sum()

    none, some, full = (share_between(identity) for identity in (0, 0.4, 1))
    assert none < some < full
    assert none < 0.3
    assert full > 0.55


@pytest.fixture(scope="module")
def by_severity() -> np.ndarray:
    """Clips of the same patients, probe positions and noise at five severities, f32 ``[5 patients t h w]``.

    With identity 0 the pleura of all of them lies at about row 17 of 64 and its second echo at row 32.
    """
    knobs = Knobs(n_patients=24, visits=1, views=1, identity=0)
    rows = cohort_rows(knobs)
    return np.stack(
        [
            [render(dataclasses.replace(row, severity=severity), knobs)[..., 0] for row in rows]
            for severity in (-2.0, -1.0, 0.0, 1.0, 2.0)
        ]
    ).astype(np.float32)


def test_severity_never_reaches_the_mean_brightness(by_severity):
    means = by_severity.mean((2, 3, 4))
    assert np.ptp(means, axis=0).max() < 0.5
    assert np.ptp(means, axis=1).min() > 3  # while the operator's gain does


def test_a_lines_fade_with_severity(by_severity):
    profile = by_severity[..., 24:40].mean((2, 4))
    contrast = (profile[..., 29:36].max(-1) - profile[..., 25:28].mean(-1)).mean(1)
    assert (np.diff(contrast) < 0).all()
    assert contrast[0] > 3 * max(contrast[-1], 1)


def test_b_lines_brighten_the_lung_field_against_the_chest_wall(by_severity):
    between_a_lines = by_severity[..., 22:28, 20:44].mean((2, 3, 4))
    wall = by_severity[..., 4:12, 20:44].mean((2, 3, 4))
    assert (np.diff((between_a_lines - wall).mean(1)) > 0).all()


def test_lung_slides_less_with_severity(by_severity):
    lung = by_severity[..., 38:60, 20:44]
    first, later = (lung[:, :, t] - lung[:, :, t].mean((-1, -2), keepdims=True) for t in (0, 4))
    alike = (first * later).sum((-1, -2)) / np.sqrt((first**2).sum((-1, -2)) * (later**2).sum((-1, -2)))
    # From the second severity on: in the healthiest lung A-lines, which stand still, outweigh the sliding speckle.
    assert (np.diff(alike.mean(1)[1:]) > 0).all()
    assert alike.mean(1)[-1] > alike.mean(1)[1] + 0.1


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("views", 7, "views is 7, but it must be a whole number from 1 to 6; set --views"),
        ("clips_per_view", -1, "clips_per_view is -1"),
        ("frames", True, "frames is True"),
    ],
)
def test_a_knob_out_of_range_is_named_in_a_sentence(field, value, words):
    with pytest.raises(InputError) as caught:
        Knobs(**{field: value})
    assert words in str(caught.value)
