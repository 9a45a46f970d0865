"""Frames and sizes between the stored scan and the backbone."""

import jax
import numpy as np
import pytest

from learner_jax.config import DataConfig
from learner_jax.data.transforms import Resize, SampleFrames, for_backbone
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


@pytest.mark.parametrize("size", [16, 24, 33])
def test_resize_equals_the_antialiased_resize_of_jax(size):
    scan = np.random.default_rng(0).integers(0, 256, (3, 48, 60, 2), dtype=np.uint8)
    expected = jax.image.resize(scan.astype(np.float32), (3, size, size, 2), "linear", antialias=True)
    got = Resize(size)(scan, None)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got, np.asarray(expected), atol=0.51)


def test_resize_keeps_a_scan_of_that_size_as_it_is():
    scan = np.zeros((2, 8, 8, 1), np.uint8)
    assert Resize(8)(scan, None) is scan


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (DataConfig(frames=32, size=32), r"stores 16 frames a scan and --config.data.frames asks for 32.*--frames=32"),
        (DataConfig(frames=8, size=50), r"stores 64x48 pixels and --config.data.size asks for 50.*--size=50"),
    ],
)
def test_more_than_is_stored_is_refused(config, sentence):
    with pytest.raises(InputError, match=sentence):
        for_backbone(config, meta())


def test_only_time_is_jittered():
    assert for_backbone(DataConfig(frames=8, size=32), meta("time"))[0].jitter
    assert not for_backbone(DataConfig(frames=8, size=32), meta("depth"))[0].jitter
