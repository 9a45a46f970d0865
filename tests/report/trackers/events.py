"""TensorBoard's event files, read without any library: TFRecords with their checksums, and the few fields of protobuf.

https://www.tensorflow.org/tutorials/load_data/tfrecord and tensorflow/core/util/event.proto
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_CASTAGNOLI = 0x82F63B78


def records(path: Path) -> Iterator[bytes]:
    """The payloads of a TFRecord file; both checksums of each must match."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        head = data[at : at + 8]
        (length,) = struct.unpack("<Q", head)
        payload = data[at + 12 : at + 12 + length]
        assert struct.unpack("<I", data[at + 8 : at + 12]) == (_masked(head),)
        assert struct.unpack("<I", data[at + 12 + length : at + 16 + length]) == (_masked(payload),)
        yield payload
        at += 16 + length
    assert at == len(data)


def scalars(path: Path) -> list[tuple[int, str, float]]:
    """``(step, tag, value)`` in the order of the file; ``(step, "session start", nan)`` where a writer began."""
    found = []
    for record in records(path):
        event = _fields(record)
        step = event.get(2, [0])[0]
        if 7 in event:  # session_log, whose status 1 is START
            assert _fields(event[7][0])[1] == [1]
            found.append((step, "session start", float("nan")))
        for summary in event.get(5, []):
            for value in map(_fields, _fields(summary).get(1, [])):
                if 2 in value:
                    found.append((step, value[1][0].decode(), struct.unpack("<f", value[2][0])[0]))
    return found


def _masked(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fields(message: bytes) -> dict[int, list]:
    found, at = {}, 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
        else:
            if kind == 2:
                length, at = _varint(message, at)
            else:
                length = {1: 8, 5: 4}[kind]
            value, at = message[at : at + length], at + length
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = message[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
