"""A histogram as a few lines of text."""

import itertools

import numpy as np

_BINS, _WIDTH = 10, 40


def lines(values: np.ndarray) -> list[str]:
    """One line with a bar and a count for each distinct value or, beyond ten of them, for each tenth of the range."""
    values = np.asarray(values, np.float64)
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size <= _BINS:
        names = [f"{value:.6g}" for value in distinct]
    else:
        counts, edges = np.histogram(values, _BINS)
        names = [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
    wide = max(map(len, names), default=0)
    bars = ["█" * round(_WIDTH * int(n) / int(counts.max())) for n in counts]
    return [f"  {name:>{wide}} {bar}{' ' if bar else ''}{n}" for name, bar, n in zip(names, bars, counts, strict=True)]
