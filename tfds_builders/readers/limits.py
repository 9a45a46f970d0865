"""Guards that hold before memory is taken: a header may claim anything, and a small file may unpack to gigabytes."""

import dataclasses
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tfds_builders.readers.api import TooLarge, UnreadableScan

_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one file may ask for."""

    decoded_bytes: int = 2 << 30  # held in memory at once
    frames: int = 20_000  # frames or slices; at 25 frames/s a quarter of an hour
    side: int = 8192  # pixels or voxels along any axis of a frame

    def check_frame(self, path: Path | str, height: int, width: int) -> None:
        """Refuse frames that are too large, or empty.

        Raises:
          TooLarge, UnreadableScan.
        """
        if height < 1 or width < 1:
            raise UnreadableScan(path, f"declares frames of {width}x{height} pixels; the file is damaged")
        if max(height, width) > self.side:
            raise TooLarge(path, f"has frames of {width}x{height} pixels; the limit is {self.side} a side")

    def check_count(self, path: Path | str, frames: int) -> None:
        """Refuse too many frames or slices.

        Raises:
          TooLarge.
        """
        if frames > self.frames:
            raise TooLarge(path, f"has {frames} frames or more; the limit is {self.frames}. Cut it into clips")

    def check_bytes(self, path: Path | str, size: int) -> None:
        """Refuse what would not fit.

        Raises:
          TooLarge.
        """
        if size > self.decoded_bytes:
            raise TooLarge(path, f"would take {_mib(size)} in memory; the limit is {_mib(self.decoded_bytes)}")


LIMITS = Limits()


def gunzip(path: Path | str, file: BinaryIO) -> Iterator[bytes]:
    """Unpack a gzip file in pieces of at most 1 MiB, to its very end, so that its checksum is compared.

    The caller adds up the sizes and stops when there is too much.

    Raises:
      UnreadableScan: damaged (checksum) or cut off.
    """
    unpacker = zlib.decompressobj(wbits=31)
    waiting = b""
    try:
        while True:
            waiting = waiting or file.read(_CHUNK)
            if not waiting:
                raise UnreadableScan(path, "is cut off: its compressed data ends too early")
            piece = unpacker.decompress(waiting, _CHUNK)
            if piece:
                yield piece
            waiting = unpacker.unconsumed_tail
            if unpacker.eof:
                waiting = unpacker.unused_data or file.read(_CHUNK)
                if not waiting.strip(b"\0"):  # zeros may pad a gzip file
                    return
                unpacker = zlib.decompressobj(wbits=31)  # a gzip file may have several members
    except zlib.error as error:
        raise UnreadableScan(path, f"is damaged: its compressed data is not what was written ({error})") from error


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
