import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

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
    with pytest.raises(UnreadableScan, match=r"b\.mp4 cannot be opened: No such file"):
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


def turned(path: Path, right: tuple[int, int], down: tuple[int, int]) -> Path:
    """Writes into an MP4 the matrix by which a phone says where the axes of the picture are to point."""
    one = 1 << 16
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: the matrix begins 40 bytes into the box
    values = (right[0] * one, right[1] * one, 0, down[0] * one, down[1] * one, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, start, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("down", [(0, 1), (0, -1), (1, 0), (-1, 0)])
@pytest.mark.parametrize("right", [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_picture_is_turned_and_mirrored_as_players_do(tmp_path, make, right, down):
    clip = make.bar(6, height=32, width=64)
    clip[:, :8, :8] = 255  # no longer its own mirror image
    path = make.video(tmp_path / "a.mp4", clip)
    stored = video.read(path, 6).pixels[..., 0]
    got = video.read(turned(path, right, down), 6).pixels[..., 0]
    if abs(right[0]) == abs(down[0]):  # both axes in one: a player shows it as it is stored
        np.testing.assert_array_equal(got, stored)
        return
    # By definition (ISO 14496-12, 6.2.2): a pixel x to the right and y down moves to x right + y down.
    want = stored if right[0] else stored.transpose(0, 2, 1)
    want = want[:, :, ::-1] if right[0] + down[0] < 0 else want
    want = want[:, ::-1] if right[1] + down[1] < 0 else want
    np.testing.assert_array_equal(got, want)


def test_a_matrix_that_leaves_nothing_of_a_picture_is_ignored(tmp_path, make):
    path = make.video(tmp_path / "a.mp4", make.bar(6, height=32, width=64))
    stored = video.read(path, 6).pixels
    np.testing.assert_array_equal(video.read(turned(path, (0, 0), (0, 0)), 6).pixels, stored)


@pytest.mark.parametrize(("said", "aspect"), [(Fraction(3, 2), 1.5), (Fraction(1, 20), 1.0), (Fraction(20), 1.0)])
def test_pixels_that_are_not_square_are_told(tmp_path, make, said, aspect):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = said
        for grey in make.bar(4, height=32, width=64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    assert video.read(tmp_path / "a.mp4", 2).aspect == pytest.approx(aspect)
    assert video.read(turned(tmp_path / "a.mp4", (0, 1), (-1, 0)), 2).aspect == pytest.approx(1 / aspect)


def test_a_clip_whose_header_has_no_count_is_decoded_once(tmp_path, make, monkeypatch):
    make.video(tmp_path / "a.mpg", make.bar(12), "mpeg2video", format="mpeg", rate=25)
    with av.open(str(tmp_path / "a.mpg")) as container:
        assert container.streams.video[0].frames == 0
    want = video.read(tmp_path / "a.mpg", 5)
    times, decode = [], video._decode
    monkeypatch.setattr(video, "_decode", lambda *given: times.append(given) or decode(*given))
    np.testing.assert_array_equal(video.read(tmp_path / "a.mpg", 5).pixels, want.pixels)
    assert len(times) == 1
    monkeypatch.setattr(video, "_count_packets", lambda *_: 3)  # packets may lie too
    np.testing.assert_array_equal(video.read(tmp_path / "a.mpg", 5).pixels, want.pixels)
    assert len(times) == 3


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "shape"),
    [
        ("odd.mp4", "libx264", "yuv444p", (33, 47)),
        ("deep.mp4", "libx264", "yuv420p10le", (32, 48)),
        ("clear.mov", "png", "rgba", (32, 48)),
        ("palette.gif", "gif", "rgb8", (31, 45)),
        ("plain.gif", "gif", "gray", (32, 48)),
    ],
)
def test_odd_sides_depths_alpha_and_palettes(tmp_path, make, name, codec, pixels, shape):
    clip = make.bar(6, *shape)
    path = make.video(tmp_path / name, clip, codec, pixels)
    got = video.read(path, 6).pixels[..., 0]
    assert got.shape == clip.shape
    assert np.abs(got.astype(int) - clip).mean() < (20 if "palette" in name else 6)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_a_title_in_latin_1_is_passed_over(tmp_path, make, name):
    clip = make.bar(6)
    with av.open(str(tmp_path / name), "w") as container:
        container.metadata["title"] = "Muxller"
        picture = container.add_stream("mpeg4", rate=10)
        picture.height, picture.width, picture.pix_fmt = *clip.shape[1:], "yuv420p"
        for grey in clip:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        container.mux(picture.encode())
    content = (tmp_path / name).read_bytes()
    assert b"Muxller" in content
    (tmp_path / name).write_bytes(content.replace(b"Muxller", b"M\xfcxler"))
    assert len(video.read(tmp_path / name, 6).pixels) == 6


def test_a_sound_track_is_passed_over(tmp_path, make):
    clip = make.bar(6)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        sound, picture = container.add_stream("aac", rate=8000), container.add_stream("mpeg4", rate=10)
        picture.height, picture.width, picture.pix_fmt = *clip.shape[1:], "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        for grey in clip:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        container.mux([*picture.encode(), *sound.encode()])
    assert len(video.read(tmp_path / "a.mp4", 6).pixels) == 6


def test_a_last_frame_that_stays_is_no_cut(tmp_path, make):
    first, *more = (Image.fromarray(grey) for grey in make.bar(10))
    first.save(tmp_path / "a.gif", save_all=True, append_images=more, duration=[100] * 9 + [3000])
    assert len(video.read(tmp_path / "a.gif", 10).pixels) == 10


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_clip_trimmed_without_coding_it_anew_begins_where_it_says(tmp_path, make, codec):
    """Packets before time 0, which an MP4 keeps for decoding and leaves out of what it shows."""
    whole = make.video(tmp_path / "whole.mp4", make.bar(20), codec)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "trimmed.mp4"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:  # the last one is empty
                second = int(1 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - second, packet.dts - second, stream
                container.mux(packet)
    reading = video.read(tmp_path / "trimmed.mp4", 10)
    np.testing.assert_array_equal(reading.pixels, video.read(whole, 20).pixels[10:])
    np.testing.assert_allclose(reading.spacing[0], 0.1, rtol=1e-5)


def test_sound_may_outlast_the_pictures(tmp_path, make):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        sound, picture = container.add_stream("pcm_s16le", rate=8000), container.add_stream("mpeg4", rate=10)
        picture.height, picture.width, picture.pix_fmt = 48, 64, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        for grey in make.bar(10):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        container.mux([*picture.encode(), *sound.encode()])
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert (container.streams.video[0].frames, container.duration) == (0, 3 * av.time_base)
    assert len(video.read(tmp_path / "a.mkv", 10).pixels) == 10


def test_a_long_decode_is_given_up(tmp_path, make):
    with pytest.raises(TooLarge, match="takes more than 0 s to decode"):
        video.read(make.video(tmp_path / "a.mp4", make.bar(6)), 6, Limits(seconds=0.0))
