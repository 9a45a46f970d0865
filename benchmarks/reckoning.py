"""What libtpu's HLO tells of a step beside XLA's counts: operations of the kernel that attends, and cycles by source.

A kernel of Pallas has neither in XLA's accounts: its operations are counted here, its cycles are not known.
"""

import collections
import re

# products of [n, d] with [d, m], or as many operations, of one head: logits and values; logits, their gradient and that
# of the queries; logits, their gradient, that of the keys and that of the values
_PRODUCTS = {"fwd": 2, "dq": 3, "dkv": 4}
_CALL = re.compile(
    r"%splash_mha_(?P<part>fwd|dq|dkv)\w*[.\d]* = .*custom-call\(.*operand_layout_constraints=\{(?P<operands>.*)"
)
_HEADS = re.compile(r"bf16\[(\d+),(\d+),(\d+),(\d+)\]")
_CLOCK = 1.5e9  # of a TPU v5e: its peak over 4 units of 128x128 multiply-adds


def attention_flops(hlo: str) -> int:
    """Of all calls of the kernel on one chip, with tokens that are there to fill blocks."""
    total = 0
    for call in _CALL.finditer(hlo):
        (b, heads, n, d), (_, _, m, _) = (tuple(map(int, found)) for found in _HEADS.findall(call["operands"])[:2])
        total += _PRODUCTS[call["part"]] * 2 * b * heads * n * m * d
    return total


def seconds_by_source(hlo: str) -> dict[str, float]:
    """The compiler's estimate for the instructions of a step, loops within it once, by the operation of JAX that each
    comes from, longest first. What it gives no estimate for is missing: kernels, collectives, some windows."""
    entry = hlo[hlo.index("ENTRY ") :]
    found = collections.Counter()
    for line in entry[: entry.index("\n}")].splitlines():
        if cycles := re.search(r'"estimated_cycles":"(\d+)"', line):
            source = re.search(r'op_name="(?:jit\(\w+\)/)?([^"]*)"', line)
            found[source[1] if source else "(none)"] += int(cycles[1]) / _CLOCK
    return dict(found.most_common())
