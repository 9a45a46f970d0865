"""Video files (mp4, mov, avi, mpeg, gif and others that FFmpeg reads) -> grey frames."""

import dataclasses
import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from tfds_builders.readers.affine import is_pixel
from tfds_builders.readers.api import Reading, UnreadableScan, evenly
from tfds_builders.readers.limits import LIMITS, Limits, open_file

# Containers that hold the pictures themselves; playlists, which may name other files or addresses, are not allowed.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegvideo,gif,matroska,webm,asf"

# The first plane of these formats is 8-bit brightness; copying it is 2.5 times faster than converting (2026-11).
_LUMA_FIRST = {"yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "nv12", "nv21"}
_FULL_RANGE = {"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "yuvj411p", "gray"}
_JPEG = 2  # AVCOL_RANGE_JPEG: brightness from 0 to 255; otherwise video keeps it within 16 to 235

LIMITED_TO_FULL = np.clip(np.floor((np.arange(256) - 16) * 255 / 219 + 0.5), 0, 255).astype(np.uint8)

# A file with less than this share of the frames that it declares was cut off; FFmpeg does not report it.
_COMPLETE = 0.95


def read(path: Path | str, frames: int, limits: Limits = LIMITS) -> Reading:
    """Decode a clip and keep ``frames`` frames, evenly spread from the first to the last, upright as players show it.

    Only these are held in memory. A clip is decoded twice where neither its header nor its packets say how many frames
    it has; in 102 real files one of the two always did.

    Returns:
      ``pixels`` uint8 ``[frames h w 1]``; ``spacing``: seconds between kept frames (NaN unknown), NaN, NaN; ``aspect``
      of its pixels.

    Raises:
      UnreadableScan: the file is not a video, has no picture, is damaged or cut off.
      TooLarge: it is beyond ``limits``.
    """
    with _open(path, limits) as container:
        header = _header(path, container)
        declared, aspect = header.frames, header.aspect
        expected = declared or _count_packets(path, limits)
        limits.check_count(path, expected)
        kept = _keep(path, container, evenly(expected, frames) if expected else np.zeros(0, np.int64), limits)
    lasts = kept.seconds * kept.total
    # A clip that was trimmed without re-encoding also declares the frames cut out, but its duration is right.
    if kept.total < _COMPLETE * declared and not (
        lasts >= _COMPLETE * header.seconds > 0 and kept.total >= _COMPLETE * _count_packets(path, limits)
    ):
        raise UnreadableScan(path, f"is cut off or damaged: {kept.total} of its {declared} frames can be decoded")
    if not declared and lasts < _COMPLETE * header.seconds:
        raise UnreadableScan(path, f"is cut off or damaged: {lasts:.1f} of its {header.seconds:.1f} s can be decoded")
    if kept.total != expected:
        with _open(path, limits) as container:
            kept = _keep(path, container, evenly(kept.total, frames), limits)
    step = kept.seconds * (kept.total - 1) / (frames - 1) if frames > 1 and kept.total > 1 else np.nan
    images = np.stack(kept.images)
    pixels = np.rot90(images[:, ::-1] if kept.mirrored else images, kept.turns, axes=(1, 2))
    spacing = np.array([step, np.nan, np.nan], np.float32)
    return Reading(np.ascontiguousarray(pixels)[..., None], spacing, 1 / aspect if kept.turns % 2 else aspect)


def probe(path: Path | str, limits: Limits = LIMITS) -> None:
    """Decode the first frame only.

    Raises:
      UnreadableScan, TooLarge: as :func:`read`.
    """
    with _open(path, limits) as container:
        limits.check_count(path, _header(path, container).frames)
        for _ in _decode(path, container, limits):
            return
    raise UnreadableScan(path, "holds no frame that can be decoded")


@dataclasses.dataclass(frozen=True)
class _Header:
    frames: int  # 0 where the header does not say
    seconds: float  # 0 where the header does not say
    aspect: float  # width of a pixel over its height; 1 where the header does not say, or nothing that can be


def _header(path: Path | str, container: av.container.InputContainer) -> _Header:
    stream = container.streams.video[0]
    if container.format.name == "gif":
        _refuse_cut_gif(path)
    aspect = float(stream.sample_aspect_ratio or 1)
    return _Header(stream.frames, _seconds(container), aspect if is_pixel(1.0, aspect) else 1.0)


def _seconds(container: av.container.InputContainer) -> float:
    """Duration of the video stream (in Matroska, a tag) or else of the file, whose sound may be longer."""
    stream = container.streams.video[0]
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""), re.ASCII)
    if tag:
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    return (container.duration or 0) / av.time_base


def _refuse_cut_gif(path: Path | str) -> None:
    """A GIF declares neither frames nor duration, but it ends with a mark."""
    with open_file(path) as file:
        file.seek(max(0, Path(path).stat().st_size - 256))
        if not file.read().rstrip(b"\0").endswith(b";"):
            raise UnreadableScan(path, "is cut off: a GIF ends with a mark, and this one does not")


def _count_packets(path: Path | str, limits: Limits) -> int:
    """Number of frames that are shown, without decoding them; 0 where the container cannot be demuxed."""
    late = limits.watch(path)
    with _open(path, limits) as container:
        try:
            n = 0
            for packet in container.demux(container.streams.video[0]):
                late()
                n += packet.size > 0 and not packet.is_discard
                limits.check_count(path, n)
            return n
        except av.error.FFmpegError:
            return 0


def _open(path: Path | str, limits: Limits) -> av.container.InputContainer:
    open_file(path).close()  # FFmpeg would block on a pipe
    try:
        # "file:" keeps a name with a colon from being taken for an address.
        container = av.open(
            f"file:{path}",
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file", **_most_pixels(limits)},
            metadata_errors="ignore",  # none is kept, and scanners write titles in Latin-1
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "of no known kind"
        raise UnreadableScan(path, f"is not a video that can be read ({reason})") from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise UnreadableScan(path, "is not a video that can be read (no picture in it, or of an unknown codec)")
    container.streams.video[0].codec_context.options = _most_pixels(limits)
    return container


def _most_pixels(limits: Limits) -> dict[str, str]:
    """The limit for FFmpeg, which decodes a frame before its size can be looked at, the first already on opening."""
    return {"max_pixels": str(limits.frame_pixels)}


def _decode(path: Path | str, container: av.container.InputContainer, limits: Limits) -> Iterator[av.VideoFrame]:
    late = limits.watch(path)
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    if multiprocessing.parent_process():  # in a pool the other processes need the cores
        stream.codec_context.thread_count = 1
    limits.check_frame(path, stream.codec_context.height, stream.codec_context.width)
    size = None
    try:
        for i, frame in enumerate(container.decode(stream)):
            late()
            limits.check_count(path, i + 1)
            now = f"{frame.width}x{frame.height}"
            if size not in (None, now):
                raise UnreadableScan(path, f"changes its size from {size} to {now} at frame {i}")
            size = now
            yield frame
    except av.error.FFmpegError as error:
        raise UnreadableScan(path, f"is damaged: {error.strerror} while decoding") from error


@dataclasses.dataclass(frozen=True)
class _Kept:
    images: list[np.ndarray]  # uint8 [h w] each, in the order wanted; empty if the clip is shorter than expected
    total: int  # number of frames in the clip
    seconds: float  # between two frames; NaN unknown
    mirrored: bool  # whether a player first turns the picture upside down, as in a mirror
    turns: int  # quarters, counterclockwise, that it then turns the picture by


def _keep(path: Path | str, container: av.container.InputContainer, wanted: np.ndarray, limits: Limits) -> _Kept:
    """Decode all frames and keep the ones at the indices ``wanted``."""
    images: dict[int, np.ndarray] = {}
    total, first, last, upright = 0, None, None, (False, 0)
    indices = set(wanted.tolist())
    for i, frame in enumerate(_decode(path, container, limits)):
        total, last = i + 1, frame.time
        if i == 0:
            first, upright = frame.time, _upright(frame)
        if i in indices:
            limits.check_bytes(path, len(indices) * frame.height * frame.width)
            images[i] = _grey(frame)
    if not total:
        raise UnreadableScan(path, "holds no frame that can be decoded")
    known = total > 1 and first is not None and last is not None and last > first
    seconds = (last - first) / (total - 1) if known else np.nan
    kept = [images[i] for i in wanted.tolist()] if indices <= images.keys() else []
    return _Kept(kept, total, seconds, *upright)


def _upright(frame: av.VideoFrame) -> tuple[bool, int]:
    """How players show a frame, by its display matrix: whether mirrored, and the quarters to turn it by."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return False, 0
    right, down = np.frombuffer(stored, np.int32).reshape(3, 3)[:2, :2].astype(np.float64)  # where the axes point
    area = right[0] * down[1] - right[1] * down[0]
    # A matrix that leaves nothing of the picture says nothing.
    return bool(area < 0), round(-np.degrees(np.arctan2(right[1], right[0])) / 90) % 4 if area else 0


def _grey(frame: av.VideoFrame) -> np.ndarray:
    """Brightness uint8 ``[h w]``, black 0 and white 255; bit for bit the same as FFmpeg's own conversion to grey."""
    name = frame.format.name
    if name not in _LUMA_FIRST and name not in _FULL_RANGE:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    full = name in _FULL_RANGE or int(frame.color_range) == _JPEG
    return rows.copy() if full else LIMITED_TO_FULL[rows]
