"""Adjustment of p-values for several tests."""

import numpy as np
from jaxtyping import Float


def holm(p: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """p-values adjusted so that the chance of any false finding stays at the level.

    Holm, Scand. J. Statist. 6 (1979) 65.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
