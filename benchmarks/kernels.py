"""Operations that XLA's count of a compiled step leaves out: those of the kernel that attends on TPUs, from its HLO."""

import re

# products of [n, d] with [d, m], or as many operations, of one head: logits and values; logits, their gradient and that
# of the queries; logits, their gradient, that of the keys and that of the values
_PRODUCTS = {"fwd": 2, "dq": 3, "dkv": 4}
_CALL = re.compile(
    r"%splash_mha_(?P<part>fwd|dq|dkv)\w*[.\d]* = .*custom-call\(.*operand_layout_constraints=\{(?P<operands>.*)"
)
_HEADS = re.compile(r"bf16\[(\d+),(\d+),(\d+),(\d+)\]")


def attention_flops(hlo: str) -> int:
    """Of all calls of the kernel on one chip, with tokens that are there to fill blocks."""
    total = 0
    for call in _CALL.finditer(hlo):
        (b, heads, n, d), (_, _, m, _) = (tuple(map(int, found)) for found in _HEADS.findall(call["operands"])[:2])
        total += _PRODUCTS[call["part"]] * 2 * b * heads * n * m * d
    return total
