"""Frames and sizes between the stored scan and the backbone."""

import jax
import numpy as np
import pytest

from learner_jax.config import DataConfig
from learner_jax.data.transforms import Fit, SampleFrames, for_backbone
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta


def meta(axis0="time"):
    return DatasetMeta("x", "1.0.0", "ultrasound", "uint8", axis0, (16, 64, 48, 1), {}, ("a",), (), "", "", "", 1)


@pytest.mark.parametrize(("t", "frames"), [(16, 8), (16, 16), (17, 5), (9, 2), (3, 1)])
def test_frames_are_evenly_spaced_and_inside(t, frames):
    clip = np.arange(t, dtype=np.uint8).reshape(t, 1, 1, 1)
    for rng in (None, *(np.random.Philox(key=k) for k in range(20))):
        picked = SampleFrames(frames, jitter=True)(clip, rng).ravel()
        assert len(picked) == frames
        assert len(set(np.diff(picked.astype(int)))) <= 1


def test_training_draws_different_starts_and_slices_of_a_volume_stay():
    clip = np.arange(16, dtype=np.uint8).reshape(16, 1, 1, 1)
    starts = {int(SampleFrames(4, jitter=True)(clip, np.random.Philox(key=k))[0, 0, 0, 0]) for k in range(50)}
    assert starts == {0, 1, 2, 3}
    still = {int(SampleFrames(4, jitter=False)(clip, np.random.Philox(key=k))[0, 0, 0, 0]) for k in range(50)}
    assert len(still) == 1


@pytest.mark.parametrize(("t", "frames"), [(96, 49), (96, 64), (160, 81), (96, 96), (96, 1), (7, 3)])
def test_slices_of_a_volume_are_those_nearest_to_an_even_division_of_its_whole_depth(t, frames):
    middle = (np.arange(frames) + 0.5) * t / frames - 0.5
    picked = SampleFrames(frames, jitter=False).pick(t, None)
    assert np.abs(picked - middle).max() <= 0.5
    assert len(set(picked.tolist())) == frames
    assert 0 <= picked[0] <= picked[-1] < t


@pytest.mark.parametrize(("t", "frames"), [(96, 48), (96, 32), (96, 24), (90, 18)])
def test_slices_that_divide_a_volume_are_the_same_distance_apart_as_moments_are(t, frames):
    still = SampleFrames(frames, jitter=False).pick(t, None)
    np.testing.assert_array_equal(still, SampleFrames(frames, jitter=True).pick(t, None))


@pytest.mark.parametrize(
    ("stored", "size", "shown"),
    [((48, 60), 30, (24, 30)), ((60, 48), 33, (33, 26)), ((48, 48), 16, (16, 16)), ((9, 60), 5, (1, 5))],
)
def test_a_scan_fits_the_square_without_being_bent(stored, size, shown):
    scan = np.random.default_rng(0).integers(1, 256, (3, *stored, 2), dtype=np.uint8)
    want = jax.image.resize(scan.astype(np.float32), (3, *shown, 2), "linear", antialias=True)
    got = Fit(size)(scan, None)
    assert got.dtype == np.uint8
    assert got.shape == (3, size, size, 2)
    lit = np.argwhere(got.any((0, 3)))
    top, left = lit.min(0)
    assert tuple(lit.max(0) + 1 - lit.min(0)) == shown
    np.testing.assert_allclose(got[:, top : top + shown[0], left : left + shown[1]], np.asarray(want), atol=0.51)
    assert abs(top - (size - shown[0]) / 2) <= 0.5
    assert abs(left - (size - shown[1]) / 2) <= 0.5


def test_a_scan_of_that_size_stays_as_it_is():
    scan = np.zeros((2, 8, 8, 1), np.uint8)
    assert Fit(8)(scan, None) is scan
    tall = np.random.default_rng(0).random((2, 8, 6, 1)).astype(np.float16)
    np.testing.assert_array_equal(Fit(8)(tall, None)[:, :, 1:7], tall)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            DataConfig(frames=32, size=32),
            r"stores 16 frames a scan and --config.data.frames asks for 32; set it to 16 or",
        ),
        (DataConfig(frames=8, size=65), r"stores 64x48 pixels and --config.data.size asks for 65; set it to 64 or"),
    ],
)
def test_more_than_is_stored_is_refused(config, sentence):
    with pytest.raises(InputError, match=sentence):
        for_backbone(config, meta())


def test_only_time_is_jittered():
    assert for_backbone(DataConfig(frames=8, size=32), meta("time"))[0].jitter
    assert not for_backbone(DataConfig(frames=8, size=32), meta("depth"))[0].jitter
