"""Embeddings of positions on another grid: known answers, and JAX's resampling."""

import jax
import numpy as np
import pytest

from learner_jax.backbones.adapt import resize, resize_positions


@pytest.mark.parametrize("grid", [(5,), (4, 4), (2, 3, 4)])
def test_the_same_grid_keeps_every_digit(grid):
    values = np.random.default_rng(0).normal(size=(*grid, 3)).astype(np.float32)
    np.testing.assert_array_equal(resize(values, grid), values)
    np.testing.assert_array_equal(resize_positions(values.reshape(1, -1, 3), grid), values)


@pytest.mark.parametrize("new", [8, 12, 24, 25])
def test_a_constant_stays_and_a_ramp_stays_a_ramp_inside(new):
    np.testing.assert_allclose(resize(np.full((12, 1), 7.0), (new,)), 7.0, rtol=1e-14)
    places = (np.arange(new) + 0.5) * 12 / new - 0.5  # of the new centres among the old ones
    ramp = resize(np.arange(12.0)[:, None], (new,))[:, 0]
    reach = 2 * max(12 / new, 1)
    inside = (places >= reach - 1) & (places <= 12 - reach)
    assert inside.any()
    tolerance = 1e-12 if new >= 12 else 0.05  # a stretched kernel is sampled between its zeros
    np.testing.assert_allclose(ramp[inside], places[inside], rtol=0, atol=tolerance)
    np.testing.assert_allclose(ramp, 11 - ramp[::-1], rtol=0, atol=1e-12)


def test_an_impulse_shows_the_kernel():
    # Keys' with a = -1/2, at 7/4, 5/4, 3/4 and 1/4 of a place
    kernel = [-0.0234375, -0.0703125, 0.2265625, 0.8671875]
    impulse = np.zeros((8, 1))
    impulse[4] = 1
    np.testing.assert_allclose(resize(impulse, (16,))[5:13, 0], kernel + kernel[::-1], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("old", "new"), [((14, 14), (7, 7)), ((14, 14), (16, 9)), ((6, 6, 6), (10, 12, 10)), ((8, 8), (1, 30))]
)
def test_it_is_the_cubic_resampling_of_jax(old, new):
    values = np.random.default_rng(0).normal(size=(*old, 4)).astype(np.float32)
    theirs = jax.image.resize(values, (*new, 4), "cubic", antialias=True, precision="highest")
    np.testing.assert_allclose(resize(values, new), theirs, rtol=0, atol=5e-6)


def test_a_table_that_is_no_square_is_taken_for_the_grid_itself_or_left_alone():
    table = np.random.default_rng(0).normal(size=(1, 8, 3))
    np.testing.assert_array_equal(resize_positions(table, (2, 4)), table.reshape(2, 4, 3))
    assert resize_positions(table, (3, 3)).shape == (8, 3), "whose shape then says what is wrong"
    assert resize_positions(table, (2, 2, 3)).shape == (2, 2, 3, 3), "8 is a cube"
