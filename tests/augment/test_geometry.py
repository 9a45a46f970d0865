"""Passes along one axis against scipy's resampling of the whole."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from learner_jax.augment.geometry import by_gather, by_product, rotation, warp_over, warp_plane

WARP = jax.jit(warp_plane, static_argnums=3)


def smooth(shape=(3, 48, 40, 1), sigma=(0, 3, 3, 0)):
    scan = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), sigma)
    return ((scan - scan.min()) / np.ptp(scan)).astype(np.float32)


def scipy_warp(scan, matrix, offset, axes):
    """By definition: the value at ``p`` is that at ``matrix @ (p - middle) + offset + middle``."""
    whole, shift = np.eye(4), np.zeros(4)
    middle = (np.array(scan.shape) - 1) / 2
    whole[np.ix_(axes, axes)], shift[list(axes)] = matrix, offset
    return ndimage.affine_transform(scan, whole, middle + shift - whole @ middle, order=3, mode="constant")


@pytest.mark.parametrize("axes", [(1, 2), (0, 1), (0, 2)])
@pytest.mark.parametrize(
    ("angle", "scale", "flip", "shift"),
    [(0, 1, 1, (1.25, -2.5)), (0.3, 1, 1, (0, 0)), (0, 0.85, 1, (0, 0)), (-0.2, 1.15, -1, (2.5, 1))],
)
def test_it_equals_scipy_away_from_the_border(axes, angle, scale, flip, shift):
    scan = smooth((32, 36, 30, 1), (3, 3, 3, 0))
    matrix = np.asarray(rotation(jnp.float32(angle))) @ np.diag([1, flip]) * scale
    got = WARP(jnp.asarray(scan), jnp.asarray(matrix, jnp.float32), jnp.asarray(shift, jnp.float32), axes)
    want = scipy_warp(scan, matrix, shift, axes)
    inside = ndimage.minimum_filter(scipy_warp(inner(scan.shape, axes), matrix, shift, axes), 3) > 0.9
    assert inside.mean() > 0.3
    np.testing.assert_allclose(np.asarray(got)[inside], want[inside], atol=0.01)


def inner(shape, axes):
    """1 where two pixels from the border in the plane, so that cubic weights see none of it."""
    inner = np.ones(shape)
    for axis in axes:
        index = np.arange(shape[axis])
        keep = (index >= 2) & (index < shape[axis] - 2)
        inner = inner * np.expand_dims(keep, tuple(i for i in range(4) if i != axis))
    return inner


def test_whole_pixels_are_moved_exactly_and_nothing_comes_in():
    scan = smooth()
    got = np.asarray(WARP(jnp.asarray(scan), jnp.eye(2), jnp.array([3.0, -2.0])))
    np.testing.assert_allclose(got[:, :-3, 2:], scan[:, 3:, :-2], atol=1e-6)
    assert not got[:, -3:].any()
    assert not got[:, :, :2].any()


def test_there_and_back_again():
    scan = jnp.asarray(smooth())
    matrix = rotation(jnp.float32(0.15)) * 1.05
    back = WARP(WARP(scan, matrix, jnp.zeros(2)), jnp.linalg.inv(matrix), jnp.zeros(2))
    np.testing.assert_allclose(back[:, 8:-8, 8:-8], scan[:, 8:-8, 8:-8], atol=0.01)


def test_a_gap_between_slices_keeps_angles_in_millimetres():
    tall = smooth((33, 33, 33, 1), (4, 4, 0, 0))
    thick = jnp.asarray(tall[::2])  # every other slice: a gap of 2 pixels
    whole = WARP(jnp.asarray(tall), rotation(jnp.float32(0.2)), jnp.zeros(2), (0, 1))
    half = WARP(thick, rotation(jnp.float32(0.2), gap=2.0), jnp.zeros(2), (0, 1))
    np.testing.assert_allclose(half[3:-3, 6:-6], whole[::2][3:-3, 6:-6], atol=0.02)


@pytest.mark.parametrize("axis", [0, 1])
def test_products_for_a_tpu_and_gathers_give_the_same(axis):
    plane = jnp.asarray(np.random.default_rng(1).uniform(size=(9, 7, 5)), jnp.float32)
    at = jnp.asarray(np.random.default_rng(2).uniform(-3, plane.shape[axis] + 2, (9, 7)), jnp.float32)
    np.testing.assert_allclose(by_product(plane, at, axis), by_gather(plane, at, axis), atol=2e-6)


def test_a_tpu_is_given_no_gather():
    scan = jax.ShapeDtypeStruct((8, 4, 16, 16, 1), jnp.float32)
    warp = jax.jit(jax.vmap(partial(warp_plane, matrix=rotation(jnp.float32(0.1)), offset=jnp.zeros(2))))
    layout = jax.export.DisabledSafetyCheck.custom_call("LayoutConstraint")
    programs = {
        name: jax.export.export(warp, platforms=[name], disabled_checks=[layout])(scan).mlir_module()
        for name in ("cpu", "cuda", "tpu")
    }
    assert {name: "stablehlo.gather" in text for name, text in programs.items()} == {
        "cpu": True,
        "cuda": True,
        "tpu": False,
    }


def test_where_nothing_arrives_the_scan_shows_what_it_showed():
    scan = smooth()
    within = np.zeros(scan.shape[1:3], bool)
    within[10:30, 5:30] = True
    got = np.asarray(warp_over(jnp.asarray(scan), jnp.asarray(within), jnp.eye(2), jnp.array([-4.0, 0.0])))
    want = scan.copy()
    want[:, 14:34, 5:30] = scan[:, 10:30, 5:30]
    np.testing.assert_allclose(got, want, atol=1e-6)
