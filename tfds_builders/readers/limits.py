"""Limits that are checked before memory is allocated: headers claim anything, and small files unpack to gigabytes."""

import dataclasses
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from tfds_builders.readers.api import TooLarge, UnreadableScan, open_error

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one file may ask for; every ``check`` method names ``path`` in its error."""

    decoded_bytes: int = 1 << 30  # in memory at once; 512 voxels cubed of 16 bits are a quarter of it
    frames: int = 20_000  # frames or slices; at 25 frames/s, 13 minutes
    side: int = 8192  # pixels or voxels along any axis of a frame
    frame_pixels: int = 1 << 25  # of one frame: 8192x4096
    expansion: int = 200  # unpacked over packed size: below 15 for real volumes, up to 1030 for zeros (2026-11)
    expansion_from: int = 16 << 20  # unpacked bytes above which that applies: a small label map may be all zeros
    seconds: float = 300.0  # to decode

    def check_frame(self, path: Path | str, height: int, width: int) -> None:
        """Refuse frames that are too large, or empty.

        Raises:
          TooLarge, UnreadableScan.
        """
        if height < 1 or width < 1:
            raise UnreadableScan(path, f"declares frames of {width}x{height} pixels; the file is damaged")
        if max(height, width) > self.side:
            raise TooLarge(path, f"has frames of {width}x{height} pixels; the limit is {self.side} a side")
        if height * width > self.frame_pixels:
            raise TooLarge(path, f"has frames of {width}x{height} pixels; the limit is {self.frame_pixels} pixels")

    def check_count(self, path: Path | str, frames: int) -> None:
        """Refuse too many frames or slices.

        Raises:
          TooLarge.
        """
        if frames > self.frames:
            raise TooLarge(path, f"has {frames} frames or more; the limit is {self.frames}. Cut it into clips")

    def check_bytes(self, path: Path | str, size: int) -> None:
        """Refuse what would not fit into memory.

        Raises:
          TooLarge.
        """
        if size > self.decoded_bytes:
            raise TooLarge(path, f"would take {_mib(size)} in memory; the limit is {_mib(self.decoded_bytes)}")

    def check_expansion(self, path: Path | str, packed: int, unpacked: int) -> None:
        """Refuse a file that unpacks to far more than pictures do.

        Raises:
          TooLarge.
        """
        if unpacked > self.expansion_from and unpacked > self.expansion * packed:
            raise TooLarge(
                path,
                f"unpacks to more than {self.expansion} times its size; no picture is that empty, so it is refused",
            )

    def watch(self, path: Path | str) -> Callable[[], None]:
        """A function to call now and then while a file is decoded.

        Raises:
          TooLarge: raised by the function, once decoding takes longer than ``seconds``.
        """
        end = time.monotonic() + self.seconds

        def check() -> None:
            if time.monotonic() > end:
                raise TooLarge(
                    path, f"takes more than {self.seconds:g} s to decode; cut it, or store it in another format"
                )

        return check


LIMITS = Limits()


def open_file(path: Path | str) -> BinaryIO:
    """Open a regular file; pipes, devices and folders are refused, because opening them may block.

    Raises:
      UnreadableScan.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableScan(path, "is not a file")
        return open(path, "rb")
    except OSError as error:
        raise open_error(path, error) from error


def is_folder(path: Path | str) -> bool:
    """Whether a path is a folder that can be listed.

    Raises:
      UnreadableScan: nothing is there, or it cannot be accessed.
    """
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return False
        os.listdir(path)
        return True
    except OSError as error:
        raise open_error(path, error) from error


def read_head(path: Path | str, size: int) -> bytes:
    """The first ``size`` bytes of a file, unpacked if it is gzip; fewer if it is shorter.

    Raises:
      UnreadableScan: the file cannot be opened, or its compressed data is damaged.
    """
    with open_file(path) as file:
        try:
            start = file.read(size)
            if start[:2] != _GZIP:
                return start
            file.seek(0)
            return next(gunzip(path, file), b"")[:size]
        except OSError as error:
            raise open_error(path, error) from error


def read_bytes(path: Path | str, limits: Limits = LIMITS) -> bytes | bytearray:
    """The whole content of a file; gzip is unpacked and its checksum verified.

    Raises:
      UnreadableScan: the file cannot be opened, is damaged or cut off.
      TooLarge: it is beyond ``limits``.
    """
    with open_file(path) as file:
        try:
            if file.read(2) != _GZIP:
                limits.check_bytes(path, os.fstat(file.fileno()).st_size)
                file.seek(0)
                return file.read()
            file.seek(0)
            data = bytearray()
            for piece in gunzip(path, file, limits):
                data += piece
                limits.check_bytes(path, len(data))
            return data
        except OSError as error:
            raise open_error(path, error) from error


def gunzip(path: Path | str, file: BinaryIO, limits: Limits = LIMITS) -> Iterator[bytes]:
    """Unpack a gzip file in pieces of at most 1 MiB, to its very end, so that its checksum is verified.

    Raises:
      UnreadableScan: it is damaged (checksum) or cut off.
      TooLarge: it unpacks to far more than pictures do, or takes too long.
    """
    yield from _inflate(path, file, 31, limits, members=True)


def inflate(path: Path | str, file: BinaryIO, limits: Limits = LIMITS) -> Iterator[bytes]:
    """Unpack the rest of a file that is a bare deflate stream, as in a deflated DICOM file, in pieces of up to 1 MiB.

    Raises:
      UnreadableScan, TooLarge: as :func:`gunzip`.
    """
    yield from _inflate(path, file, -15, limits, members=False)


def _inflate(path: Path | str, file: BinaryIO, wbits: int, limits: Limits, members: bool) -> Iterator[bytes]:
    unpacker, late = isal_zlib.decompressobj(wbits=wbits), limits.watch(path)
    waiting, unpacked = b"", 0
    try:
        while True:
            waiting = waiting or file.read(_CHUNK)
            if not waiting:
                raise UnreadableScan(path, "is cut off: its compressed data ends too early")
            piece = unpacker.decompress(waiting, _CHUNK)
            waiting = unpacker.unconsumed_tail
            unpacked += len(piece)
            limits.check_expansion(path, file.tell() - len(waiting), unpacked)
            late()
            if piece:
                yield piece
            if unpacker.eof:
                waiting = unpacker.unused_data or file.read(_CHUNK)
                if not members or not waiting.strip(b"\0"):  # a gzip file may be padded with zeros
                    return
                unpacker = isal_zlib.decompressobj(wbits=wbits)  # a gzip file may have several members
    except isal_zlib.error as error:
        raise UnreadableScan(path, "is damaged: its compressed data is not what was written") from error


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
