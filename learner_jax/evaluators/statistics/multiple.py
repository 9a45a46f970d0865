"""Several tests at once."""

import numpy as np
from jaxtyping import Float


def holm(p: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Adjusted p-values that keep the chance of any false finding at the level. Holm, Scand. J. Statist. 6 (1979)
    65."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
