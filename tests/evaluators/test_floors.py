"""Features of the floors against plain numpy."""

import numpy as np
import pytest

from learner_jax.evaluators.floors import pixel_features, time_features


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_are_tile_means_and_temporal_sd(dtype):
    scan = np.random.default_rng(0).integers(0, 255, (3, 5, 16, 24, 1)).astype(dtype)
    x = scan.astype(np.float64)

    def tiles(image):
        return image.reshape(3, 8, 2, 8, 3, 1).mean(axis=(2, 4)).reshape(3, -1)

    expected = np.concatenate([tiles(x.mean(axis=1)), tiles(x.std(axis=1))], axis=1)
    found = np.asarray(pixel_features(scan))
    assert found.shape == (3, 128)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_tiles_of_odd_sizes_keep_the_mean_and_stills_have_no_sd():
    scan = np.random.default_rng(0).random((2, 1, 13, 5, 3)).astype(np.float32)
    found = np.asarray(pixel_features(scan)).reshape(2, 2, 64, 3)
    np.testing.assert_allclose(found[:, 0].mean(axis=1), scan.mean(axis=(1, 2, 3)), rtol=1e-5)
    assert (found[:, 1] == 0).all()


def test_time_is_all_that_time_knows():
    found = time_features(np.array([0, 3.5], np.float32), np.array([0, 1]), np.array([0, 1]))
    np.testing.assert_array_equal(found, np.array([[0, 0], [3.5, 1]], np.float32))


def test_days_that_nobody_knows_are_those_of_training_on_average():
    days = np.array([0, 4, np.nan, 90, np.nan], np.float32)
    found = time_features(days, np.arange(5), np.array([0, 1, 2]))
    np.testing.assert_array_equal(found[:, 0], [0, 4, 2, 90, 2])
    np.testing.assert_array_equal(found[:, 1], [0, 0, 1, 0, 1])
    np.testing.assert_array_equal(found[:, 2], np.arange(5))
    assert (time_features(np.full(2, np.nan, np.float32), np.arange(2), np.arange(2))[:, 0] == 0).all()
