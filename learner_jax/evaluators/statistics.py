"""Intervals over patients: the bootstrap that keeps all pairs of a patient together.

Pairs of one patient share visits, so they are not independent and only patients can be resampled. A statistic is a
function ``(data, counts [p]) -> scalars`` in which ``counts`` says how often each patient was drawn; all ones gives the
value itself. Nothing here knows which quantity it is.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Shaped

from learner_jax.evaluators.rows import Row

FEW_PATIENTS = 30  # below, percentile intervals are visibly too narrow
_CHUNK = 128  # replicates in memory at once

Statistic = Callable[[Any, Float32[Array, " p"]], dict[str, jax.Array]]


@partial(jax.jit, static_argnames=("replicates", "width"))
def resample(seed: int | Array, n_patients: int | Array, *, replicates: int, width: int) -> Float32[Array, "r width"]:
    """How often each patient is drawn in each of ``r`` replicates: multinomial counts, ``n_patients`` draws each.

    The stream is Threefry under ``seed`` alone, so two runs on the same patients are resampled alike.

    Args:
      width: columns, at least ``n_patients``; those beyond it are padding and stay 0.
    """
    # The implementation is named, for a user's jax_default_prng_impl must not change a table.
    key = jax.random.key(seed, impl="threefry2x32")
    drawn = jax.random.randint(key, (replicates, width), 0, n_patients, jnp.int32)
    real = (jnp.arange(width) < n_patients).astype(jnp.float32)
    return jax.vmap(lambda patients: jnp.zeros(width, jnp.float32).at[patients].add(real))(drawn)


@partial(jax.jit, static_argnames="statistic")
def replicate(statistic: Statistic, data: Any, counts: Float32[Array, "r p"]) -> dict[str, Float[Array, " r"]]:
    """The statistic of every replicate; NaN where a replicate leaves it undefined."""
    r = counts.shape[0]
    # lax.map's own batch_size compiles the statistic a second time for the remainder.
    chunks = jnp.pad(counts, ((0, -r % _CHUNK), (0, 0))).reshape(-1, _CHUNK, counts.shape[1])
    values = jax.lax.map(jax.vmap(lambda drawn: statistic(data, drawn)), chunks)
    return jax.tree.map(lambda x: x.reshape(-1)[:r], values)


def summed(sums: Shaped[Array, " p *shape"], counts: Float32[Array, " p"]) -> Float[Array, "*shape"]:
    """Sum of per-patient sums, each as often as its patient was drawn; exact while it stays below 2**24."""
    # Default precision would round counts to bfloat16 on a TPU.
    return jnp.tensordot(counts, sums.astype(jnp.float32), 1, precision="highest")


def ratio(part: Float[Array, ""], whole: Float[Array, ""]) -> Float[Array, ""]:
    """``part / whole``, NaN when there is nothing to divide by."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), jnp.nan)


def percentile_interval(values: Float[np.ndarray, " r"], confidence: float) -> tuple[float | None, float | None, int]:
    """Percentile interval of the defined replicates, and how many were not. Efron & Tibshirani 1993, chapter 13."""
    defined = values[~np.isnan(values)].astype(np.float64)
    if defined.size == 0:
        return None, None, values.size
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high), values.size - defined.size


def make_row(
    name: str,
    value: float,
    replicates: Float[np.ndarray, " r"],
    confidence: float,
    n_patients: int,
    n_pairs: int | None,
    undefined: str,
) -> Row:
    """A value, its replicates and its counts as a line, with everything a reader must be told in the note.

    Args:
      value: NaN when undefined; then the line is empty and the note says ``undefined``.
      n_patients: patients that contribute to this quantity.
    """
    if np.isnan(value):
        return Row(name, None, None, None, n_patients, n_pairs, undefined)
    if n_patients < 2:
        return Row(name, float(value), None, None, n_patients, n_pairs, "1 patient: an interval needs at least 2")
    low, high, lost = percentile_interval(replicates, confidence)
    notes = []
    if n_patients < FEW_PATIENTS:
        notes.append(f"{n_patients} patients: with fewer than {FEW_PATIENTS} the interval is too narrow")
    if lost:
        notes.append(f"{lost} of {replicates.size} resamples left it undefined and are left out")
    return Row(name, float(value), low, high, n_patients, n_pairs, "; ".join(notes))
