"""What a compiled step sends between devices, read from its HLO."""

import dataclasses
import math
import re

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8}
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")
_COLLECTIVE = re.compile(
    r"= (?P<result>\(.*?\)|\S+) (?P<kind>all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?\("
)
_TRANSFER = re.compile(r"= (?P<result>\(.*?\)|\S+) (?P<kind>send|recv|infeed|outfeed)\(")
_BETWEEN_SLICES = re.compile(r'rendezvous="(?P<name>[^"]*)".*transfer_type="(?P<kind>[A-Z_]*)"')


@dataclasses.dataclass(frozen=True)
class Array:
    """An array on one device, without padding."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * _BYTES[self.dtype]


@dataclasses.dataclass(frozen=True)
class Collective:
    """One exchange between devices.

    Attributes:
      kind: such as ``all-reduce``.
      arrays: what each device holds afterwards; between slices, what each sends.
      group: number of devices that exchange with one another; 0 between slices.
    """

    kind: str
    arrays: tuple[Array, ...]
    group: int

    @property
    def slow(self) -> bool:
        """Whether it goes between slices, over the data centre's network."""
        return self.group == 0

    @property
    def size(self) -> int:
        """Count of the numbers that are summed or gathered."""
        return sum(array.size for array in self.arrays) * self._parts

    def moves(self, dtype: str, size: int) -> bool:
        """Whether one of the arrays has this dtype and this many numbers."""
        return any(array.dtype == dtype and array.size * self._parts == size for array in self.arrays)

    @property
    def sent(self) -> int:
        """Bytes that each device sends: around a ring, twice for an all-reduce; between slices, to its peers."""
        once = sum(array.nbytes for array in self.arrays)
        if self.slow:
            return once
        return once * (2 if self.kind == "all-reduce" else self._parts)

    @property
    def _parts(self) -> int:
        return self.group if self.kind == "reduce-scatter" else 1


def collectives(hlo: str) -> list[Collective]:
    """Each exchange of an optimised module once, even where the compiler has split it and fused the pieces."""
    found = {}
    for line in hlo.splitlines():
        if match := _COLLECTIVE.search(line):
            channel = re.search(r"channel_id=(\d+)", line)
            source = re.search(r'op_name="[^"]*" stack_frame_id=\d+', line)
            arrays = _arrays(match["result"])
            key = (match["kind"], channel and channel[1], source and source[0], arrays)
            found[key] = Collective(match["kind"], arrays, _group(line))
        elif (match := _TRANSFER.search(line)) and match["kind"] == "send" and (slow := _BETWEEN_SLICES.search(line)):
            kind = slow["kind"].lower().replace("_", "-")
            found[slow["name"]] = Collective(kind, _arrays(match["result"])[:1], 0)
    return list(found.values())


def host_transfers(hlo: str) -> list[str]:
    """Lines at which a device waits for its host: feeds, callbacks, and sends other than those between slices."""
    lines = hlo.splitlines()
    transfers = [line for line in lines if _TRANSFER.search(line) and not _BETWEEN_SLICES.search(line)]
    return transfers + [line for line in lines if "custom-call" in line and "callback" in line]


def _arrays(result: str) -> tuple[Array, ...]:
    bare = re.sub(r"\{[^{}]*\}", "", result)  # layouts
    found = [(dtype, shape) for dtype, shape in _ARRAY.findall(bare) if dtype in _BYTES]
    return tuple(Array(dtype, tuple(int(n) for n in shape.split(",") if n)) for dtype, shape in found)


def _group(line: str) -> int:
    """Devices in a group, from ``{{0,1},{2,3}}``, ``[2,2]<=[4]`` or ``mesh['a'=2,'b'=2] {'b'}``."""
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return listed[1].count(",") + 1
    if counted := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(counted[1])
    if meshed := re.search(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", meshed[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", meshed[2]))
    if pairs := re.search(r"source_target_pairs=\{(.*?)\}\}", line):
        return pairs[1].count("{")
    raise ValueError(f"replica groups written in another way: {line.strip()[:500]}")
