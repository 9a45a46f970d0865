"""Files as ``torch.save`` writes them, byte by byte and without PyTorch: its zip format and its older stream."""

import dataclasses
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
KINDS = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char"}
KINDS |= {"u1": "Byte", "b1": "Bool", "bf16": "BFloat16"}


@dataclasses.dataclass(frozen=True)
class Raw:
    """Operations of a pickle, as they are."""

    operations: bytes


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of storage ``key``, with whatever offset, shape and strides (counted in numbers) are claimed."""

    key: str
    kind: str
    count: Any
    shape: Any
    strides: Any
    offset: Any = 0
    view: Any = None  # of the stream of PyTorch before 0.4: (key, offset, count)


def operations(value: Any, stream: bool = False) -> bytes:
    """What a pickle of protocol 2 does to have the value on its stack."""
    match value:
        case Raw(found):
            return found
        case None | True | False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            n = value.bit_length() // 8 + 1
            return b"\x8b" + struct.pack("<i", n) + value.to_bytes(n, "little", signed=True)
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case tuple() | list() | dict():
            start, end = {tuple: (b"(", b"t"), list: (b"](", b"e"), dict: (b"}(", b"u")}[type(value)]
            items = [x for pair in value.items() for x in pair] if isinstance(value, dict) else value
            return start + b"".join(operations(item, stream) for item in items) + end
        case Tensor():
            kind = Raw(name("torch", f"{KINDS.get(value.kind, value.kind)}Storage"))
            identity = ("storage", kind, value.key, "cpu", value.count, *((value.view,) if stream else ()))
            hooks = Raw(name("collections", "OrderedDict") + b")R")
            about = (Raw(operations(identity, stream) + b"Q"), value.offset, value.shape, value.strides, False, hooks)
            return name("torch._utils", "_rebuild_tensor_v2") + operations(about, stream) + b"R"
    raise TypeError(value)


def name(module: str, attribute: str) -> bytes:
    """The operation that imports a name."""
    return b"c" + f"{module}\n{attribute}\n".encode()


def dumped(value: Any, stream: bool = False) -> bytes:
    """A whole pickle."""
    return b"\x80\x02" + operations(value, stream) + b"."


def of(key: str, array: np.ndarray) -> Tensor:
    """The whole of storage ``key`` with the array's numbers."""
    strides = tuple(step // array.itemsize for step in np.empty(array.shape, array.dtype).strides)
    return Tensor(key, array.dtype.str[1:], array.size, array.shape, strides)


def write_zip(path: Path, value: Any, storages: dict[str, bytes], **more: Any) -> Path:
    """A file of PyTorch 1.6 and later. ``more``: ``compression``, ``byteorder``."""
    with zipfile.ZipFile(path, "w", more.get("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("archive/data.pkl", dumped(value))
        archive.writestr("archive/byteorder", more.get("byteorder", "little"))
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return path


def write_stream(path: Path, value: Any, storages: dict[str, tuple[int, bytes]], system: Any = None) -> Path:
    """A file of PyTorch before 1.6. Storages: how many numbers they claim to have, and their bytes."""
    head = b"".join(dumped(part) for part in (MAGIC, PROTOCOL, system or SYSTEM))
    tail = b"".join(struct.pack("<q", count) + data for count, data in storages.values())
    path.write_bytes(head + dumped(value, stream=True) + dumped(list(storages)) + tail)
    return path


FOUR = np.arange(4, dtype=np.float32)
WRITERS = {
    "zip": lambda path, value, arrays: write_zip(path, value, {key: a.tobytes() for key, a in arrays.items()}),
    "stream": lambda path, value, arrays: write_stream(
        path, value, {key: (a.size, a.tobytes()) for key, a in arrays.items()}
    ),
}


class Canary:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
