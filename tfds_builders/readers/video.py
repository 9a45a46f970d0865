"""Video files (mp4, mov, avi, mpeg, gif and kin) -> grey frames, through FFmpeg."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from tfds_builders.readers.api import Reading, UnreadableScan, evenly
from tfds_builders.readers.limits import LIMITS, Limits

# Containers that hold pictures themselves. Playlists, which may name other files or addresses, are not among them.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegvideo,gif,matroska,webm,asf"

# The first plane of these is 8-bit brightness; copying it is 2.5 times faster than converting (2026-11).
_LUMA_FIRST = {"yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "nv12", "nv21"}
_FULL_RANGE = {"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "yuvj411p", "gray"}
_JPEG = 2  # AVCOL_RANGE_JPEG: brightness from 0 to 255; otherwise video keeps it within 16 to 235

LIMITED_TO_FULL = np.clip(np.floor((np.arange(256) - 16) * 255 / 219 + 0.5), 0, 255).astype(np.uint8)

# A file that decodes to fewer frames than this part of what it declares was cut off; FFmpeg itself stays silent.
_COMPLETE = 0.95


def read(path: Path | str, frames: int, limits: Limits = LIMITS) -> Reading:
    """Decode a clip and keep ``frames`` of it, evenly spread from the first to the last.

    Only these are held in memory. Where the header's frame count is absent or wrong the clip is decoded twice.

    Returns:
      ``pixels`` uint8 ``[frames h w 1]``; ``spacing``: seconds between kept frames (NaN unknown), NaN, NaN.

    Raises:
      UnreadableScan: not a video, no picture in it, damaged or cut off.
      TooLarge: beyond ``limits``.
    """
    declared = _declared(path)
    limits.check_count(path, declared)
    kept, total, seconds = _keep(path, evenly(declared, frames) if declared else None, limits)
    if total < _COMPLETE * declared:
        raise UnreadableScan(path, f"is cut off or damaged: {total} of its {declared} frames can be decoded")
    if total != declared:
        kept, _, _ = _keep(path, evenly(total, frames), limits)
    step = seconds * (total - 1) / (frames - 1) if frames > 1 and total > 1 else np.nan
    return Reading(kept[..., None], np.array([step, np.nan, np.nan], np.float32))


def probe(path: Path | str, limits: Limits = LIMITS) -> None:
    """Decode the first frame, and no more.

    Raises:
      UnreadableScan, TooLarge: as :func:`read`.
    """
    limits.check_count(path, _declared(path))
    for _ in _decode(path, limits):
        return
    raise UnreadableScan(path, "holds no frame that can be decoded")


def _declared(path: Path | str) -> int:
    with _open(path) as container:
        return container.streams.video[0].frames


def _open(path: Path | str) -> av.container.InputContainer:
    try:
        # "file:" keeps a name with a colon from being taken for an address.
        container = av.open(f"file:{path}", options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableScan(path, f"is not a video that can be read ({reason})") from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise UnreadableScan(path, "is not a video that can be read (no picture in it, or of an unknown codec)")
    return container


def _decode(path: Path | str, limits: Limits) -> Iterator[av.VideoFrame]:
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        limits.check_frame(path, stream.codec_context.height, stream.codec_context.width)
        size = None
        try:
            for i, frame in enumerate(container.decode(stream)):
                limits.check_count(path, i + 1)
                if size not in (None, (frame.height, frame.width)):
                    raise UnreadableScan(
                        path, f"changes its size from {size[1]}x{size[0]} to {frame.width}x{frame.height} at frame {i}"
                    )
                size = frame.height, frame.width
                yield frame
        except av.error.FFmpegError as error:
            raise UnreadableScan(path, f"is damaged: {error.strerror} while decoding") from error


def _keep(path: Path | str, wanted: np.ndarray | None, limits: Limits) -> tuple[np.ndarray, int, float]:
    """Frames at the indices ``wanted`` (None: of an unknown total), the number of all frames, seconds between two."""
    images: dict[int, np.ndarray] = {}
    total, first, last = 0, None, None
    indices = set() if wanted is None else set(wanted.tolist())
    for i, frame in enumerate(_decode(path, limits)):
        total = i + 1
        first = frame.time if i == 0 else first
        last = frame.time
        if i in indices:
            limits.check_bytes(path, len(wanted) * frame.height * frame.width)
            images[i] = _grey(frame)
    if not total:
        raise UnreadableScan(path, "holds no frame that can be decoded")
    known = total > 1 and first is not None and last is not None and last > first
    seconds = (last - first) / (total - 1) if known else np.nan
    complete = wanted is not None and max(indices) < total
    kept = np.stack([images[i] for i in wanted.tolist()]) if complete else np.empty((0, 0, 0), np.uint8)
    return kept, total, seconds


def _grey(frame: av.VideoFrame) -> np.ndarray:
    """Brightness uint8 ``[h w]``, black 0 and white 255; equal to FFmpeg's own conversion to grey bit for bit."""
    name = frame.format.name
    if name not in _LUMA_FIRST and name not in _FULL_RANGE:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    full = name in _FULL_RANGE or int(frame.color_range) == _JPEG
    return rows.copy() if full else LIMITED_TO_FULL[rows]
