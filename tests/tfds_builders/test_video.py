import os

import av
import numpy as np
import pytest

from tfds_builders.readers import video
from tfds_builders.readers.api import TooLarge, UnreadableScan, evenly
from tfds_builders.readers.limits import Limits


def test_luma_stretched_by_the_table_equals_ffmpegs_grey_bit_for_bit():
    frame = av.VideoFrame(256, 2, "yuv420p")
    plane = frame.planes[0]
    rows = np.zeros((2, plane.line_size), np.uint8)
    rows[:, :256] = np.arange(256)
    plane.update(rows.tobytes())
    for chroma in frame.planes[1:]:
        chroma.update(np.full(chroma.buffer_size, 128, np.uint8).tobytes())
    np.testing.assert_array_equal(video.LIMITED_TO_FULL, frame.to_ndarray(format="gray")[0])


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mp4", "mpeg4", "yuv420p"), ("a.avi", "mjpeg", "yuvj420p"), ("a.mov", "png", "gray"), ("a.gif", "gif", "rgb8")],
)
def test_every_container_gives_ffmpegs_grey(tmp_path, make, name, codec, pixels):
    path = make.video(tmp_path / name, make.bar(width=66, height=50), codec, pixels)
    with av.open(str(path)) as container:
        want = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
    reading = video.read(path, 20)
    assert reading.pixels.dtype == np.uint8
    assert reading.pixels.shape == (20, 50, 66, 1)
    np.testing.assert_array_equal(reading.pixels[..., 0], want)
    np.testing.assert_allclose(reading.spacing, [0.1, np.nan, np.nan], rtol=1e-5)


def test_frames_are_spread_from_first_to_last(tmp_path, make):
    path = make.video(tmp_path / "a.mp4", make.bar(21))
    every = video.read(path, 21).pixels
    some = video.read(path, 5)
    np.testing.assert_array_equal(some.pixels, every[[0, 5, 10, 15, 20]])
    np.testing.assert_allclose(some.spacing[0], 0.5, rtol=1e-5)
    np.testing.assert_array_equal(video.read(path, 1).pixels, every[[10]])
    assert np.isnan(video.read(path, 1).spacing[0])
    longer = video.read(path, 41)
    np.testing.assert_array_equal(longer.pixels[::2], every)
    np.testing.assert_allclose(longer.spacing[0], 0.05, rtol=1e-5)


def test_even_indices():
    assert evenly(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert evenly(1, 3).tolist() == [0, 0, 0]
    assert evenly(100, 2).tolist() == [0, 99]
    assert evenly(7, 1).tolist() == [3]


def test_the_suffix_is_not_trusted(tmp_path, make):
    want = video.read(make.video(tmp_path / "a.mp4", make.bar()), 4)
    os.rename(tmp_path / "a.mp4", tmp_path / "b:c.avi")
    np.testing.assert_array_equal(video.read(tmp_path / "b:c.avi", 4).pixels, want.pixels)


def test_a_container_without_a_frame_count_is_read(tmp_path, make):
    clip = make.bar(30)
    path = make.video(tmp_path / "a.mpeg", clip, "mpeg1video", format="mpeg", rate=25)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 0
    assert np.abs(video.read(path, 30).pixels[..., 0].astype(int) - clip).mean() < 15


def test_a_cut_off_file_is_refused(tmp_path, make):
    path = make.video(tmp_path / "a.avi", make.bar(40), "mjpeg", "yuvj420p")
    data = path.read_bytes()
    path.write_bytes(b"00dc".join(data.split(b"00dc")[:21]))  # between two frames, where FFmpeg finds no fault
    with pytest.raises(UnreadableScan, match="is cut off or damaged: 19 of its 40 frames can be decoded"):
        video.read(path, 4)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableScan, match="is damaged: Invalid data found when processing input while decoding"):
        video.read(path, 4)
    path = make.video(tmp_path / "a.mp4", make.bar(40))
    path.write_bytes(path.read_bytes()[:3000])  # the index at the end is gone
    with pytest.raises(UnreadableScan, match="is not a video that can be read"):
        video.read(path, 4)


@pytest.mark.parametrize("content", [b"", b"scan,patient\n", b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", bytes(5000)])
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UnreadableScan, match=r"a\.mp4 is not a video that can be read"):
        video.probe(tmp_path / "a.mp4")
    with pytest.raises(UnreadableScan, match=r"b\.mp4 is not a video that can be read .No such file"):
        video.read(tmp_path / "b.mp4", 4)


def test_limits_hold_before_memory_is_taken(tmp_path, make):
    path = make.video(tmp_path / "a.mp4", make.bar())
    for limits, sentence in (
        (Limits(frames=10), "has 20 frames or more; the limit is 10"),
        (Limits(side=50), "has frames of 64x48 pixels; the limit is 50 a side"),
    ):
        for act in (lambda limits=limits: video.read(path, 4, limits), lambda limits=limits: video.probe(path, limits)):
            with pytest.raises(TooLarge, match=sentence):
                act()
    with pytest.raises(TooLarge, match="would take 0 MiB in memory"):
        video.read(path, 4, Limits(decoded_bytes=4 * 48 * 64 - 1))
