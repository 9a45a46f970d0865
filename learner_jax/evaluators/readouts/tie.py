"""Logits of a comparison with three outcomes, from one number for its direction and one for the width of a tie."""

import numpy as np
from jaxtyping import Float64


def tie_logits(r: Float64[np.ndarray, " k"], log_tie: float) -> Float64[np.ndarray, "k 3"]:
    """``(-r, log_tie, r)``: logits of decrease, stable and increase. Davidson, doi 10.1080/01621459.1970.10481082."""
    return np.stack([-r, np.full_like(r, log_tie), r], axis=1)
