"""How the numbers and the commands of a sweep are written."""

import math
import shlex
from collections.abc import Sequence


def magnitude(flops: int | float) -> str:
    """``3.1 TFLOP``."""
    power = min(int(math.log10(max(flops, 1)) // 3), 6)
    return f"{flops / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}FLOP"


def shell(arguments: Sequence[str], width: int = 100) -> str:
    """A command for a shell, in lines of at most ``width`` characters where no single argument is longer."""
    lines = [""]
    for argument in map(shlex.quote, arguments):
        if lines[-1] and len(lines[-1]) + len(argument) + 3 > width:
            lines.append("   ")
        lines[-1] += f" {argument}" if lines[-1] else argument
    return " \\\n".join(lines)
