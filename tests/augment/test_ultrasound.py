"""Ultrasound: the fan stays, depth keeps its direction, and noise is what it says."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from learner_jax.augment import ultrasound
from learner_jax.config import AugmentConfig

OFF = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})
ONE = jnp.ones(())
MOVE = jax.jit(ultrasound.move_inside_fan)


@functools.cache
def compiled(flips, **fields):
    config = dataclasses.replace(OFF, **fields)
    return jax.jit(lambda scan, key, side: ultrasound.augment(scan, key, side, config, flips))


def run(scan, seed=0, side=1.0, flips=False, **fields):
    return np.asarray(compiled(flips, **fields)(scan, jax.random.key(seed), jnp.float32(side)))


def fan(t=3, h=48, w=48, sigma=0.0):
    """A sector with its tip above the picture, as a convex probe draws it; inside, texture between 0.3 and 1."""
    y, x = np.mgrid[:h, :w]
    depth, angle = np.hypot(y + 12, x - w / 2 + 0.5), np.arctan2(x - w / 2 + 0.5, y + 12)
    inside = (depth > 16) & (depth < h + 8) & (np.abs(angle) < 0.55)
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(t, h, w)), (0, sigma, sigma))
    texture = 0.3 + 0.7 * (texture - texture.min()) / np.ptp(texture)
    return jnp.asarray((texture * inside)[..., None], jnp.float32), inside


def test_the_fan_is_found_through_dark_tissue_and_the_noise_of_a_video():
    scan, inside = fan()
    scan = scan.at[:, 20:28, 20:26].set(0)
    scan = jnp.where(inside[..., None], scan, np.random.default_rng(1).integers(0, 5, scan.shape) / 255)
    np.testing.assert_array_equal(ultrasound.fan_of(scan), inside)


@pytest.mark.parametrize("seed", range(6))
def test_the_outline_of_the_fan_stays_and_no_black_wedge_comes_in(seed):
    scan, inside = fan()
    got = run(scan, seed, shift=0.15, zoom=0.2, rotate=15.0)
    np.testing.assert_array_equal(got[:, ~inside], np.asarray(scan)[:, ~inside])
    np.testing.assert_array_equal(ultrasound.fan_of(jnp.asarray(got)), inside)
    assert (got[:, inside] > 0.15).all()
    assert np.abs(got - scan)[:, inside].mean() > 0.05  # and yet it has moved


def test_a_move_is_scipys_zoom_about_the_probe_then_rotation_about_the_middle_then_shift():
    scan = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(2, 60, 50)), (0, 3, 3))
    scan = (0.1 + 0.9 * (scan - scan.min()) / np.ptp(scan)).astype(np.float32)  # no outline: the fan is the picture
    shift, zoom, angle = np.array([3.0, -2.5]), 1.12, 0.1
    got = MOVE(jnp.asarray(scan[..., None]), jnp.asarray(shift, jnp.float32), zoom * ONE, angle * ONE)
    want = np.empty_like(scan)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle, probe = np.array([29.5, 24.5]), np.array([0, 24.5])
    back = np.linalg.inv(turn) / zoom  # of p = shift + middle + turn @ (probe + zoom * (q - probe) - middle)
    offset = probe + (middle - probe) / zoom - back @ (middle + shift)
    for frame, out in zip(scan, want, strict=True):
        ndimage.affine_transform(frame, back, offset, output=out, order=3)
    inner = np.s_[:, 14:-6, 10:-10]
    np.testing.assert_allclose(np.asarray(got)[..., 0][inner], want[inner], atol=0.01)
    assert np.abs(want - scan)[inner].max() > 0.2


def test_zoom_leaves_the_probes_face_in_its_place_and_makes_depth_larger():
    scan = jnp.full((1, 41, 41, 1), 0.2).at[:, 20, 20].set(1.0).at[:, 5, 20].set(1.0)
    got = np.asarray(MOVE(scan, jnp.zeros(2), 1.2 * ONE, 0 * ONE))[0, :, 20, 0]
    assert got[24] > 0.9
    assert got[6] > 0.9
    assert got[20] < 0.3


@pytest.mark.parametrize("seed", range(8))
def test_depth_keeps_its_direction(seed):
    ramp = jnp.broadcast_to(jnp.linspace(0.1, 0.9, 32)[:, None, None], (3, 32, 32, 1))
    got = run(ramp, seed, side=-1.0, flips=True, **dataclasses.asdict(AugmentConfig()) | {"flip_views": "all"})
    depth = got[:, :, 8:24].mean((0, 2, 3))
    assert (depth[8:] > depth[:-8] + 0.05).all()


def test_a_flip_turns_the_picture_and_its_fan():
    scan, _ = fan()
    lopsided = scan.at[:, :, :15].set(0)
    np.testing.assert_array_equal(run(lopsided, side=-1.0, flips=True), np.asarray(lopsided)[:, :, ::-1])
    np.testing.assert_array_equal(run(lopsided, side=1.0, flips=True), lopsided)


def test_gain_adds_contrast_multiplies_and_black_stays_black():
    grey = jnp.linspace(0, 0.8, 64).reshape(1, 8, 8, 1)
    seen = set()
    for seed in range(6):
        got = run(grey, seed, gain=0.1, contrast=0.15).ravel()
        before = np.asarray(grey).ravel()
        bright = before > 0.3
        slope, shift = np.polyfit(before[bright], got[bright], 1)
        assert abs(slope - 1) <= 0.15
        assert abs(shift) <= 0.1
        np.testing.assert_allclose(got, before * slope + shift * np.minimum(before / 0.3, 1), atol=1e-5)
        assert got[0] == 0
        assert (np.diff(got) > 0).all()
        seen.add(round(shift, 4))
    assert len(seen) == 6


@pytest.mark.parametrize("seed", range(4))
def test_time_gain_compensation_is_a_smooth_curve_over_depth_alone(seed):
    gain = run(jnp.full((2, 64, 16, 1), 0.5), seed, tgc=0.2)[..., 0] - 0.5
    np.testing.assert_allclose(gain, np.broadcast_to(gain[:1, :, :1], gain.shape), atol=1e-6)
    curve = gain[0, :, 0]
    assert np.abs(curve).max() <= 0.2
    assert np.ptp(curve) > 0.02
    knot = 63 / 3  # rows between sliders; a cubic B-spline's second derivative is at most 4 coefficients a knot squared
    assert np.abs(np.diff(curve, 2)).max() <= 4 * 0.2 / knot**2 + 1e-5


def test_speckle_is_multiplicative_of_mean_1_correlated_and_new_in_each_frame():
    noise = [run(jnp.full((8, 60, 60, 1), level), speckle=0.3)[..., 0] / level for level in (0.1, 0.3)]
    np.testing.assert_allclose(noise[0], noise[1], rtol=1e-4)
    factor = noise[0]
    assert abs(factor.mean() - 1) < 0.02
    assert factor.std() <= 0.3
    magnitude = (factor - factor.mean()) / factor.std() * np.sqrt(2 - np.pi / 2) + np.sqrt(np.pi / 2)
    assert abs((magnitude**4).mean() / (magnitude**2).mean() ** 2 - 2) < 0.1  # of a Rayleigh magnitude: 2

    def alike(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    assert alike(factor[:, :, 1:], factor[:, :, :-1]) > alike(factor[:, 1:], factor[:, :-1]) > 0.4
    assert abs(alike(factor[:, :, 15:], factor[:, :, :-15])) < 0.05
    assert abs(alike(factor[1:], factor[:-1])) < 0.05


def test_dropped_frames_show_the_one_before_and_the_first_stays():
    lost = []
    for seed in range(40):
        shown = np.asarray(ultrasound.held_frames(jax.random.key(seed), 16, 0.25))
        assert shown[0] == 0
        assert all(now in (i, before) for i, (before, now) in enumerate(itertools.pairwise(shown), 1))
        lost.append((shown != np.arange(16)).mean())
    assert 0.18 < np.mean(lost) < 0.29
    scan, _ = fan(16)
    got = run(scan, 3, drop_frames=0.5)
    source = [next(j for j in range(16) if np.array_equal(frame, scan[j])) for frame in got]
    assert source[0] == 0
    assert source == sorted(source)
    assert len(set(source)) < 16
