"""Read the pickle of a state dict without running it.

A file of ``torch.save`` is a pickle, that is, a program. :func:`read_pickle` treats its operations as data, knows the
few names that a state dict needs and refuses all others. It imports and calls nothing, and builds nothing but numbers,
texts, tuples, lists and dicts. (``pickle.Unpickler`` with a strict ``find_class`` would keep out code but little else:
10 bytes make Python 3.11 allocate 4 GiB and more for its memo, November 2026.)
"""

import dataclasses
import math
import mmap
from collections.abc import Callable, Iterable, Iterator
from pickletools import genops  # a disassembler; importing the whole module would bring pickle itself within reach
from typing import Any, NoReturn

import numpy as np

from tfds_builders.errors import InputError

# Limits. A state dict of 1,000 tensors takes 30,000 operations, and the largest nets have some 2,000 tensors.
_OPERATIONS = 2_000_000
_AXES = 16
_COUNT = 1 << 48  # for any count; products of larger numbers could keep a machine busy for hours

_STORAGES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
_DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool"
_CALLABLE = (
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
)
# Many training scripts save their arguments and some of NumPy's numbers beside the weights. Neither is needed here.
_ARGUMENTS = "argparse.Namespace"
_NUMBER = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode")
_NAMES = {*_STORAGES, *_CALLABLE, _ARGUMENTS, *_NUMBER, *(f"torch.{name}" for name in _DTYPES.split())}


@dataclasses.dataclass(frozen=True)
class Name:
    """The name of something that a pickle would import; here only a name."""

    text: str


@dataclasses.dataclass(frozen=True)
class Storage:
    """A sequence of numbers somewhere in the file: its key there, their type and their count."""

    key: str
    dtype: str
    count: int

    @property
    def nbytes(self) -> int:
        return self.count * itemsize(self.dtype)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage, checked to stay within it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * itemsize(self.storage.dtype)


class Namespace(dict):
    """Arguments by name."""


class Stream:
    """Bytes that are read like a file; asking for more than there are takes no extra memory."""

    def __init__(self, data: bytes | mmap.mmap):
        self._data, self._at = data, 0

    def read(self, n: int) -> bytes:
        found = self._data[self._at : self._at + max(n, 0)]
        self._at += len(found)
        return found

    def readline(self) -> bytes:
        end = self._data.find(b"\n", self._at) + 1
        return self.read(end - self._at if end else len(self._data))

    def tell(self) -> int:
        return self._at


def read_pickle(stream: Stream, persistent: Callable[[Any], Any] | None = None) -> Any:
    """The value that the pickle at the stream's position describes; leaves the stream at its end.

    Args:
      stream: bytes to read.
      persistent: persistent id -> what it stands for.

    Raises:
      InputError: the pickle asks for something that a state dict does not need; the message names it.
      Exception: of any kind, for a malformed pickle.
    """
    return _Reader(persistent).read(stream)


class _Reader:
    """The stack of a pickle, and the effect of each operation on it."""

    def __init__(self, persistent: Callable[[Any], Any] | None):
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._left = _OPERATIONS

    def read(self, stream: Stream) -> Any:
        push, pop = self._stack.append, self._stack.pop
        for operation, argument, _ in genops(stream):
            self._spend(1)
            match operation.name:
                case "PROTO" | "FRAME":
                    pass
                case "STOP":
                    return pop()
                case "NONE" | "NEWTRUE" | "NEWFALSE":
                    push({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[operation.name])
                case "BININT" | "BININT1" | "BININT2" | "LONG1" | "LONG4" | "BINFLOAT":
                    push(argument)
                case "BINUNICODE" | "SHORT_BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING":
                    push(argument)
                case "EMPTY_TUPLE":
                    push(())
                case "EMPTY_LIST":
                    push([])
                case "EMPTY_DICT":
                    push({})
                case "MARK":
                    self._marks.append(len(self._stack))
                case "TUPLE":
                    push(tuple(self._since_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    n = int(operation.name[-1])
                    push(tuple(reversed([pop() for _ in range(n)])))
                case "APPEND" | "APPENDS":
                    values = self._since_mark() if operation.name == "APPENDS" else [pop()]
                    self._top(list).extend(values)
                case "SETITEM" | "SETITEMS":
                    values = self._since_mark() if operation.name == "SETITEMS" else [pop(), pop()][::-1]
                    self._top(dict).update(_entries(zip(values[::2], values[1::2], strict=True)))
                case "BINPUT" | "LONG_BINPUT":
                    self._memo[argument] = self._stack[-1]
                case "MEMOIZE":
                    self._memo[len(self._memo)] = self._stack[-1]
                case "BINGET" | "LONG_BINGET":
                    push(self._memo[argument])
                case "GLOBAL":
                    push(_known(argument.replace(" ", ".")))
                case "STACK_GLOBAL":
                    name, module = pop(), pop()
                    if not type(name) is type(module) is str:
                        refuse(f"its pickle asks for what {in_words(module)} and {in_words(name)} name")
                    push(_known(f"{module}.{name}"))
                case "BINPERSID":
                    push(self._persistent(pop()) if self._persistent else refuse("it refers to what is not there"))
                case "REDUCE":
                    arguments, function = pop(), pop()
                    self._spend(sum(len(given) for given in arguments if isinstance(given, list | tuple)))
                    push(_make(function, arguments))
                case "NEWOBJ":
                    arguments, kind = pop(), pop()
                    if kind != Name(_ARGUMENTS) or arguments != ():
                        refuse(f"its pickle would make {in_words(kind)}, which no state dict needs")
                    push(Namespace())
                case "BUILD":  # sets attributes; in those of an OrderedDict PyTorch keeps the versions of modules
                    attributes, value = pop(), self._top(dict)
                    if isinstance(value, Namespace) and isinstance(attributes, dict):
                        self._spend(len(attributes))
                        value.update(attributes)
                case other:
                    refuse(f"its pickle uses the operation {other}, which no state dict needs")
        raise EOFError

    def _spend(self, operations: int) -> None:
        """Copying an entry counts as an operation: one list can be copied again and again."""
        self._left -= operations
        if self._left < 0:
            refuse(f"its pickle has more than {_OPERATIONS:,} operations; a state dict has a few thousand")

    def _since_mark(self) -> list[Any]:
        at = self._marks.pop()
        values = self._stack[at:]
        del self._stack[at:]
        return values

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            refuse(f"its pickle would change {in_words(self._stack[-1])}, which no state dict needs")
        return self._stack[-1]


def _entries(pairs: Iterable) -> Iterator[tuple[Any, Any]]:
    """The same pairs, once their keys are known to be of simple types: nested tuples may take forever to hash."""
    for key, value in pairs:
        if type(key) not in (str, int, float, bool, type(None)):
            refuse(f"a dict of it has {in_words(key)} for a key")
        yield key, value


def _known(name: str) -> Name:
    if name not in _NAMES:
        if name.startswith(
            ("torch._utils._rebuild", "torch.Complex", "torch.Q", "torch.complex", "torch.float", "torch.uint")
        ):
            refuse(
                f"it asks for {name!r:.100}: it holds tensors that are quantised, sparse, complex or of another kind "
                "that is not read here. Save them as plain tensors of float32"
            )
        refuse(
            f"it asks for {name!r:.100}, which is no part of a state dict. Opening it with PyTorch would run code of "
            "the file's author; where you trust them, save its state_dict() alone"
        )
    return Name(name)


def _make(function: Any, arguments: Any) -> Any:
    """The result that calling ``function`` would have, in plain values; an empty dict for a number of NumPy's."""
    called = function.text if isinstance(function, Name) else ""
    if called in _NUMBER:
        return {}
    if called not in _CALLABLE:
        refuse(f"its pickle would call {in_words(function)}, which no state dict needs")
    match called, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "collections.OrderedDict", (list(pairs),):  # as Python 2 wrote them
            return dict(_entries(pairs))
        case "torch.Size", (tuple(sizes) | list(sizes),):
            return tuple(sizes)
        case "torch._utils._rebuild_parameter", (Tensor() as tensor, *_):
            return tensor
        case (
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
            (Storage() as storage, offset, tuple(shape), tuple(strides), *_),
        ):
            return view_of(storage, offset, shape, strides)
    refuse(f"its pickle calls {called} with what is no tensor of this file")


def view_of(storage: Storage, offset: Any, shape: tuple, strides: tuple) -> Tensor:
    """The tensor that views a storage so; refused if it would reach beyond the storage."""
    if len(shape) != len(strides) or len(shape) > _AXES:
        refuse(f"it has a tensor with {len(shape)} sizes and {len(strides)} strides")
    for number in (offset, *shape, *strides):
        _check_count(number, "a size, a stride or an offset")
    numbers = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if numbers else 0
    if numbers > storage.count or (numbers and last >= storage.count):
        refuse(f"it has a tensor of {numbers:,} numbers up to the {last + 1:,}th of {storage.count:,} that are there")
    return Tensor(storage, offset, shape, strides)


def storage_of(identity: Any) -> tuple[Storage, Any]:
    """The storage that a persistent id names and, in old files, which part of it."""
    match identity:
        case ("storage", Name() as kind, str(key), str(), count, *view) if kind.text in _STORAGES and len(view) < 2:
            _check_count(count, "the length of a storage")
            return Storage(key, _STORAGES[kind.text], count), view[0] if view else None
    refuse(f"it refers to {in_words(identity)} where a storage of numbers should be")


def _check_count(number: Any, what: str) -> None:
    if type(number) is not int or not 0 <= number < _COUNT:
        shown = f"{number}" if type(number) is int and abs(number) < _COUNT else in_words(number)
        refuse(f"{what} is {shown}")


def in_words(value: Any) -> str:
    """A few words for a value of any size."""
    return value.text if isinstance(value, Name) else f"a value of type {type(value).__name__}"


def refuse(reason: str) -> NoReturn:
    """Raise ``InputError``, to which the reader of the file adds its name."""
    raise InputError(reason)


def itemsize(dtype: str) -> int:
    """Bytes per number of a type."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
