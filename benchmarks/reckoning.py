"""What libtpu's HLO tells about a step beyond XLA's counts: operations of the attention kernel, and time by source.

XLA counts neither for a Pallas kernel: its operations are counted here, its time stays unknown.
"""

import collections
import re

# Matrix products per head, each of as many operations as [n, d] times [d, m]. Forward: logits and values. dq: logits,
# their gradient and that of the queries. dkv: logits, their gradient, and those of keys and values.
_PRODUCTS = {"fwd": 2, "dq": 3, "dkv": 4}
_CALL = re.compile(
    r"%splash_mha_(?P<part>fwd|dq|dkv)\w*[.\d]* = .*custom-call\(.*operand_layout_constraints=\{(?P<operands>.*)"
)
_HEADS = re.compile(r"bf16\[(\d+),(\d+),(\d+),(\d+)\]")
_CLOCK = 1.5e9  # Hz, of a TPU v5e: its peak over 4 units of 128x128 multiply-adds


def attention_flops(hlo: str) -> int:
    """Operations of all calls of the attention kernel on one chip, padding tokens included."""
    total = 0
    for call in _CALL.finditer(hlo):
        (b, heads, n, d), (_, _, m, _) = (tuple(map(int, found)) for found in _HEADS.findall(call["operands"])[:2])
        total += _PRODUCTS[call["part"]] * 2 * b * heads * n * m * d
    return total


def seconds_by_source(hlo: str) -> dict[str, float]:
    """The compiler's estimate for the instructions of a step, by the JAX operation that each comes from, longest first.

    Loop bodies count once. Instructions without an estimate are missing: kernels, collectives, some windows.
    """
    entry = hlo[hlo.index("ENTRY ") :]
    found = collections.Counter()
    for line in entry[: entry.index("\n}")].splitlines():
        if cycles := re.search(r'"estimated_cycles":"(\d+)"', line):
            source = re.search(r'op_name="(?:jit\(\w+\)/)?([^"]*)"', line)
            found[source[1] if source else "(none)"] += int(cycles[1]) / _CLOCK
    return dict(found.most_common())
