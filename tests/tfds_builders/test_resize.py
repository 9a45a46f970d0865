import numpy as np
import pytest

from tfds_builders.resize import fit

SQUARE = np.full(3, np.nan, np.float32)


def disc(height, width, row=1.0, column=1.0):
    """A filled circle in physical space, radius 0.4 of the smaller extent."""
    y = (np.arange(height) + 0.5) * row - height * row / 2
    x = (np.arange(width) + 0.5) * column - width * column / 2
    inside = np.hypot(y[:, None], x) < 0.4 * min(height * row, width * column)
    return np.where(inside, 255, 0).astype(np.uint8)[None, :, :, None]


@pytest.mark.parametrize(("height", "width"), [(200, 200), (200, 120), (90, 301), (1, 1), (7, 2000)])
def test_the_whole_frame_stays_and_the_rest_is_black(height, width):
    out, _ = fit(np.full((2, height, width, 1), 200, np.uint8), 64, SQUARE)
    assert out.shape == (2, 64, 64, 1)
    filled = out[0, :, :, 0] > 0
    rows, columns = np.flatnonzero(filled.any(1)), np.flatnonzero(filled.any(0))
    assert filled.sum() == len(rows) * len(columns)
    assert {int(v) for v in np.unique(out)} <= {0, 200}
    assert max(len(rows), len(columns)) == 64
    assert abs(len(rows) / len(columns) - max(height / width, 1 / 64)) <= max(0.02, height / width * 0.1)
    assert abs(rows[0] - (63 - rows[-1])) <= 1
    assert abs(columns[0] - (63 - columns[-1])) <= 1


def test_a_circle_in_millimetres_stays_a_circle():
    out, spacing = fit(disc(60, 200, row=3.0, column=1.0), 96, np.array([5, 3, 1], np.float32))
    lit = out[0, :, :, 0] > 127
    assert abs(int(lit.any(0).sum()) - int(lit.any(1).sum())) <= 2
    np.testing.assert_allclose(spacing, [5, 180 / 86, 200 / 96], rtol=1e-6)


def test_fine_texture_is_averaged_and_not_skipped():
    stripes = np.zeros((1, 256, 256, 1), np.uint8)
    stripes[:, ::2] = 255
    out, _ = fit(stripes, 64, SQUARE)
    assert np.abs(out[0, 2:-2].astype(int) - 127).max() <= 2


def test_what_fits_is_not_touched():
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 1), dtype=np.uint8)
    np.testing.assert_array_equal(fit(frames, 32, SQUARE)[0], frames)
