"""Widths of layers, rounded as the publications of scaled nets do."""

import math


def multiple_of_8(channels: float) -> int:
    """The multiple of 8 nearest to a number of channels, or the next if that is below 0.9 of them; at least 8."""
    nearest = max(8, 8 * math.floor(channels / 8 + 0.5))
    return nearest + 8 if nearest < 0.9 * channels else nearest
