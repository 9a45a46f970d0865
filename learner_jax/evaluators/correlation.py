"""Rank correlation under resampling of patients, and the distance between embeddings that it is asked of."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Num

from learner_jax.evaluators.statistics import summed


def rank_plan(values: Num[np.ndarray, " k"]) -> dict[str, Int32[np.ndarray, " k"]]:
    """How to rank ``values`` under any weights without sorting again: their order, and where each tie lies in it."""
    order = np.argsort(values, kind="stable")
    ends = {side: np.searchsorted(values[order], values, side) for side in ("left", "right")}
    return {name: array.astype(np.int32) for name, array in {"order": order, **ends}.items()}


def weighted_ranks(plan: dict[str, Int32[Array, " k"]], weight: Float32[Array, " k"]) -> Float32[Array, " k"]:
    """Mid-ranks of a sample in which entry i occurs ``weight[i]`` times, as scipy.stats.rankdata ranks the copies."""
    below = jnp.concatenate([jnp.zeros(1, weight.dtype), jnp.cumsum(weight[plan["order"]])])
    return (below[plan["left"]] + below[plan["right"]] + 1) / 2


def spearman(data: dict[str, Array], counts: Float32[Array, " p"]) -> Float32[Array, ""]:
    """Spearman's rho over the entries of all drawn patients; NaN when either side is constant.

    Args:
      data: ``x`` and ``y`` (plans of :func:`rank_plan`), ``patient`` ``[k]`` i32, ``mask`` ``[k]`` bool.
    """
    weight = jnp.where(data["mask"], counts[data["patient"]], 0.0)
    n = weight.sum()
    # Centred and scaled to (-1/2, 1/2): raw squares of ranks leave float32 behind at 300 entries.
    x, y = ((weighted_ranks(data[side], weight) - (n + 1) / 2) / jnp.maximum(n, 1) for side in "xy")
    xx, yy, xy = (summed(product, weight) for product in (x * x, y * y, x * y))
    # A constant side has all ranks at the centre, up to the rounding of the cumulative sum.
    varies = (xx > 1e-9 * n) & (yy > 1e-9 * n)
    return jnp.where(varies, xy / jnp.sqrt(jnp.where(varies, xx * yy, 1)), jnp.nan)


@jax.jit
def cosine_distance(a: Float32[Array, "k d"], b: Float32[Array, "k d"]) -> Float32[Array, " k"]:
    """``1 - cos(a, b)``, between 0 and 2; equal rows give exactly 0, and a zero row is at 1 from any other.

    Computed as ``|a/|a| - b/|b||^2 / 2``: ``1 - cos`` has no digits left for the small distances that matter here.
    """
    norm_a, norm_b = (jnp.linalg.norm(x / _peak(x), axis=1, keepdims=True) for x in (a, b))
    unit_a = a / _peak(a) / jnp.where(norm_a > 0, norm_a, 1)
    unit_b = b / _peak(b) / jnp.where(norm_b > 0, norm_b, 1)
    distance = ((unit_a - unit_b) ** 2).sum(axis=1) / 2
    directed = ((norm_a > 0) & (norm_b > 0))[:, 0]
    return jnp.where((a == b).all(axis=1), 0, jnp.where(directed, distance, 1))


def _peak(x: Float32[Array, "k d"]) -> Float32[Array, "k 1"]:
    """Largest magnitude of a row, 1 for zeros: squares of 1e20 or 1e-20 are no float32."""
    peak = jnp.abs(x).max(axis=1, keepdims=True)
    return jnp.where(peak > 0, peak, 1)
