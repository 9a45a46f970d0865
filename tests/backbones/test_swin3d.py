"""Video Swin: which bias belongs to which two tokens, who sees whom after a move, tables of other windows."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.backbones import swin3d
from learner_jax.backbones.adapt import resize_bias


@pytest.mark.parametrize("window", [(2, 3, 4), (8, 7, 7), (1, 1, 1)])
def test_two_tokens_find_the_bias_of_their_distance(window):
    t, h, w = window
    table = np.arange((2 * t - 1) * (2 * h - 1) * (2 * w - 1)).reshape(2 * t - 1, 2 * h - 1, 2 * w - 1)
    places = np.asarray(swin3d._places(window))
    tokens = list(itertools.product(range(t), range(h), range(w)))
    for i, j in np.random.default_rng(0).integers(len(tokens), size=(50, 2)):
        a, b = tokens[i], tokens[j]
        assert places[i, j] == table[a[0] - b[0] + t - 1, a[1] - b[1] + h - 1, a[2] - b[2] + w - 1]


@pytest.mark.parametrize(
    ("padded", "window", "move"),
    [((4, 6, 6), (2, 3, 3), (1, 1, 1)), ((2, 8, 8), (2, 4, 4), (0, 2, 2)), ((3, 4, 4), (3, 2, 4), (0, 1, 0))],
)
def test_tokens_of_a_moved_window_see_those_that_lay_beside_them_before(padded, window, move):
    # by definition: the grid is moved back, and two tokens of a window see each other if no end of the grid is between
    place = np.stack(np.meshgrid(*map(np.arange, padded), indexing="ij"), -1)
    place = np.roll(place, [-m for m in move], (0, 1, 2))
    windows = np.asarray(swin3d._cut(place[None], window)[0])
    hidden = np.asarray(swin3d._hidden(padded, window, move))[:, 0]
    for number, tokens in enumerate(windows):
        far = np.abs(tokens[:, None] - tokens[None, :])  # from one another, along each axis of the grid
        expected = np.where((far < np.asarray(window)).all(-1), 0.0, swin3d.HIDDEN)
        np.testing.assert_array_equal(hidden[number], expected)


def test_windows_are_put_back_where_they_were_cut():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 8, 3)), jnp.float32)
    cut = swin3d._cut(x, (2, 3, 4))
    np.testing.assert_array_equal(cut[1, 0], x[1, :2, :3, :4].reshape(24, 3))
    np.testing.assert_array_equal(swin3d._joined(cut, (4, 6, 8), (2, 3, 4)), x)


def test_a_table_of_the_same_window_stays_and_one_of_a_picture_is_repeated():
    table = np.random.default_rng(0).normal(size=(15 * 13 * 13, 3)).astype(np.float32)
    np.testing.assert_array_equal(resize_bias(table, (15, 13, 13, 3)), table.reshape(15, 13, 13, 3))
    np.testing.assert_array_equal(
        resize_bias(table, (15, 13, 13, 4)), table
    )  # of a net with other heads: told by its shape
    picture = table[: 13 * 13]
    found = resize_bias(picture, (15, 13, 13, 3))
    np.testing.assert_array_equal(found, np.broadcast_to(picture.reshape(1, 13, 13, 3), found.shape))


def test_a_table_of_a_longer_window_keeps_its_middle_its_symmetry_and_its_slope():
    # a window of 16 frames has the distances -15 … 15, one of 8 has -7 … 7
    distance = np.arange(-15.0, 16.0)
    ramp = np.broadcast_to(distance[:, None, None, None], (31, 13, 13, 2)).reshape(-1, 2)
    found = resize_bias(ramp, (15, 13, 13, 2))
    np.testing.assert_allclose(found, -found[::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[7], 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[3:12, 0, 0, 0], np.arange(-4, 5) * 31 / 15, rtol=0, atol=0.05)


def test_a_table_of_another_height_is_left_alone():
    assert resize_bias(np.zeros((15 * 11 * 11, 3)), (15, 13, 13, 3)).shape == (1815, 3), "whose shape then says so"
