"""How the numbers of a sweep are written."""

import math


def magnitude(flops: int | float) -> str:
    """``3.1 TFLOP``."""
    power = min(int(math.log10(max(flops, 1)) // 3), 6)
    return f"{flops / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}FLOP"
