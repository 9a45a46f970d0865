"""The tensors of a published file of weights, by the names that the file gives them.

It may be a file of ``torch.save`` (its zip format, or the stream of PyTorch before 1.6), a ``.npz`` or a
``.safetensors``. A file of ``torch.save`` is a pickle, that is, a program, but it is not run:
:mod:`learner_jax.backbones.state_dict` reads it as data.
"""

import mmap
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors

from learner_jax.backbones.state_dict import (
    Storage,
    Stream,
    Tensor,
    in_words,
    itemsize,
    read_pickle,
    refuse,
    storage_of,
    view_of,
)
from tfds_builders.errors import InputError

# Limits of what is read.
_ENTRIES = 50_000
_COPIES = 4  # bytes of all tensors over bytes of their storages; tied weights are stored once and read twice
_EXPANSION = 32  # of a compressed .npz; trained weights expand by a factor of 1.1
_DEPTH = 8  # of dicts around a state dict
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module")
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read(path: Path) -> dict[str, np.ndarray]:
    """All tensors of the file; bfloat16, which NumPy lacks, becomes float32.

    Raises:
      InputError: the file cannot be read, is damaged, or asks for anything but tensors.
    """
    try:
        tensors = _read(path)
    except InputError as fault:
        raise InputError(f"{path} is not read: {fault}") from fault
    except Exception as fault:  # whatever a damaged file leads to
        raise InputError(f"{path} is damaged, or no file of weights: {type(fault).__name__}: {fault!s:.200}") from fault
    while tensors and all(name.startswith("module.") for name in tensors):  # of DataParallel
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _read(path: Path) -> dict[str, np.ndarray]:
    size = path.stat().st_size
    if path.suffix == ".safetensors":
        return _from_safetensors(path)
    if not size:
        refuse("it is empty")
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            return _from_zip(file, size)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _from_legacy(Stream(data), size)


def _from_zip(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """Tensors of the format that ``torch.save`` writes since 1.6: ``NAME/data.pkl`` and ``NAME/data/KEY``."""
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) > 2 * _ENTRIES:
            refuse(f"it has {len(entries):,} entries; at most {2 * _ENTRIES:,} are read")
        if any(name.endswith(".npy") for name in entries):
            return _from_npz(file, entries.values(), size)
        if any(name.endswith("/constants.pkl") for name in entries):
            refuse("it is a TorchScript module, which is a program; save its state_dict()")
        for entry in entries.values():
            if entry.compress_type != zipfile.ZIP_STORED:
                refuse(f"its entry {entry.filename!r} is compressed, which PyTorch never does")
        folder = next((name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")), None)
        if folder is None:
            refuse("it is a zip file without data.pkl, so nothing that torch.save has written")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            refuse("its numbers have the most significant byte first")

        def persistent(identity: Any) -> Storage:
            storage, view = storage_of(identity)
            entry = entries.get(f"{folder}data/{storage.key}")
            if view is not None or entry is None or entry.file_size != storage.nbytes:
                there = "nothing" if entry is None else f"{entry.file_size:,} bytes"
                refuse(f"it claims {storage.nbytes:,} bytes for storage {storage.key!r:.80} and there is {there}")
            return storage

        with archive.open(f"{folder}data.pkl") as stream:
            value = read_pickle(Stream(stream.read()), persistent)
        tensors = _state_dict(value)
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        _check_total(tensors, storages, size)
        raw = {key: archive.read(f"{folder}data/{key}") for key in storages}
    return _arrays(tensors, raw)


def _from_legacy(stream: Stream, size: int) -> dict[str, np.ndarray]:
    """Tensors of the stream of PyTorch before 1.6: five pickles, then the length and the numbers of each storage."""
    if read_pickle(stream) != _LEGACY_MAGIC or read_pickle(stream) != _LEGACY_PROTOCOL:
        refuse("it does not begin as torch.save begins a file")
    system = read_pickle(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        refuse("its numbers have the most significant byte first")
    roots: dict[str, Storage] = {}
    views: dict[str, tuple[str, int]] = {}

    def persistent(identity: Any) -> Storage:
        root, view = storage_of(identity)
        if roots.setdefault(root.key, root) != root:
            refuse(f"it describes storage {root.key!r:.80} in two ways")
        match view:
            case None:
                return root
            case (str(key), offset, count):  # before 0.4 a storage could be a part of another
                part = view_of(root, offset, (count,), (1,))
                if key in roots or views.setdefault(key, (root.key, part.offset)) != (root.key, part.offset):
                    refuse(f"it describes storage {key!r:.80} in two ways")
                return Storage(key, root.dtype, count)
        refuse(f"it describes a part of storage {root.key!r:.80} by {in_words(view)}")

    tensors = _state_dict(read_pickle(stream, persistent))
    keys = read_pickle(stream)
    if not isinstance(keys, list) or any(type(key) is not str for key in keys) or sorted(keys) != sorted(roots):
        refuse("the storages that it has are not those that its tensors lie in")
    raw = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little", signed=True)
        if count != roots[key].count:
            refuse(f"it claims {roots[key].count:,} numbers for storage {key!r:.80} and there are {count:,}")
        raw[key] = stream.read(roots[key].nbytes)
        if len(raw[key]) != roots[key].nbytes:
            refuse(f"it ends within storage {key!r:.80}: it is truncated")
    _check_total(tensors, roots, size)
    for key, (root, offset) in views.items():
        raw[key] = memoryview(raw[root])[offset * itemsize(roots[root].dtype) :]  # a slice of bytes would be a copy
    return _arrays(tensors, raw)


def _from_npz(file: BinaryIO, entries: Iterable[zipfile.ZipInfo], size: int) -> dict[str, np.ndarray]:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _EXPANSION * size:
        refuse(f"its {size:,} bytes would unpack to {unpacked:,}")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        tensors = {name: archive[name] for name in archive.files}
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiub" or tensor.dtype.itemsize > 8:
            refuse(f"{name!r:.80} has numbers of type {tensor.dtype}")
    return {name: np.ascontiguousarray(t, t.dtype.newbyteorder("<")) for name, t in tensors.items()}


def _from_safetensors(path: Path) -> dict[str, np.ndarray]:
    names = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bfloat16", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
    names |= {"I8": "i1", "U8": "u1", "BOOL": "?"}
    found = {}
    for name, tensor in safetensors.deserialize(path.read_bytes()):
        if tensor["dtype"] not in names:
            refuse(f"{name!r:.80} has numbers of type {tensor['dtype']}")
        found[name] = _numbers(tensor["data"], names[tensor["dtype"]]).reshape(tensor["shape"])
    return found


def _state_dict(value: Any) -> dict[str, Tensor]:
    """The tensors of a saved state dict by name, found also within the dicts that training scripts wrap around it."""
    for _ in range(_DEPTH):
        if not isinstance(value, dict):
            refuse(f"it holds {in_words(value)} and no state dict")
        key = next((key for key in _WRAPPERS if key in value and _dicts_of_tensors({key: value[key]})), None)
        if key is None:
            break
        if others := _dicts_of_tensors({other: held for other, held in value.items() if other != key}):
            print(f"taken are the tensors in {key!r}, not those in {_listed(others)}", file=sys.stderr)
        value = value[key]
    tensors = {key: tensor for key, tensor in value.items() if isinstance(key, str) and isinstance(tensor, Tensor)}
    others = _dicts_of_tensors(value)
    if not tensors:
        where = f"; there are some in {_listed(others)}. Save the state dict that is meant alone" if others else ""
        refuse(f"it holds no tensors by name: {_listed(value)}{where}")
    if others:
        refuse(f"it holds {_listed(tensors)} and, in dicts, more tensors: {_listed(others)}. Save alone what is meant")
    if len(tensors) > _ENTRIES:
        refuse(f"it has {len(tensors):,} tensors; at most {_ENTRIES:,} are read")
    return tensors


def _dicts_of_tensors(value: dict) -> list:
    """Keys of the dicts in a dict that hold tensors, at any depth; of dicts that share one, the first."""
    found, seen = [], set()
    for key, inner in value.items():
        waiting = [inner] if isinstance(inner, dict) else []
        while waiting:
            one = waiting.pop()
            if isinstance(one, Tensor):
                found.append(key)
                break
            if isinstance(one, dict) and id(one) not in seen:  # each once: a dict may hold itself
                seen.add(id(one))
                waiting.extend(one.values())
    return found


def _listed(keys: Iterable) -> str:
    return ", ".join(f"{key!r:.40}" for key in list(keys)[:10]) or "nothing"


def _check_total(tensors: Mapping[str, Tensor], storages: Mapping[str, Storage], size: int) -> None:
    there = sum(storage.nbytes for storage in storages.values())
    asked = sum(tensor.nbytes for tensor in tensors.values())
    if there > size or asked > _COPIES * there:
        refuse(f"its tensors would take {asked:,} bytes out of {there:,} in a file of {size:,}")


def _arrays(tensors: Mapping[str, Tensor], raw: Mapping[str, bytes | memoryview]) -> dict[str, np.ndarray]:
    found = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        size = itemsize(storage.dtype)
        flat = np.frombuffer(raw[storage.key], "<u2" if storage.dtype == "bfloat16" else storage.dtype, storage.count)
        strides = [step * size for step in tensor.strides]
        view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)
        found[name] = _numbers(np.ascontiguousarray(view), storage.dtype).reshape(tensor.shape)
    return found


def _numbers(data: Any, dtype: str) -> np.ndarray:
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, dtype)
