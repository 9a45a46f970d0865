"""The bootstrap over patients: a patient is drawn with all its pairs, or not at all.

Pairs of one patient share visits, so they are not independent and only patients can be resampled. A statistic is a
function ``(data, counts [p r]) -> {name: [… r]}``, where ``counts`` says how often each of ``p`` patients was drawn in
each of ``r`` replicates; a column of ones gives the value itself. Replicates are the last axis, so that a gather by
patient copies whole rows and a running sum is a few vector additions. Nothing here depends on the quantity.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped

_CHUNK = 128  # replicates in memory at once
_MOST_ELEMENTS = 1 << 23  # length of the largest array, times replicates in memory at once
_MOST_LEFT_OUT = 400  # jackknife groups: the acceleration needs no more

Counts = Float32[Array, "p r"]
Statistic = Callable[[Any, Counts], dict[str, jax.Array]]


@partial(jax.jit, static_argnames=("replicates", "width"))
def resample(seed: int | Array, n_patients: int | Array, *, replicates: int, width: int) -> Float32[Array, "width r"]:
    """How often each patient is drawn in each of ``r`` replicates: multinomial counts of ``n_patients`` draws.

    The draws depend on ``seed`` and the sizes alone, so two runs on the same patients are resampled alike.

    Args:
      seed: of the draws.
      n_patients: who can be drawn.
      replicates: ``r``.
      width: rows, at least ``n_patients``; those beyond are padding and stay 0.
    """
    # The implementation is named so that a user's jax_default_prng_impl changes no table.
    key = jax.random.key(seed, impl="threefry2x32")
    drawn = jax.random.randint(key, (replicates, width), 0, n_patients, jnp.int32)
    real = (jnp.arange(width) < n_patients).astype(jnp.float32)
    return jax.vmap(lambda patients: jnp.zeros(width, jnp.float32).at[patients].add(real))(drawn).T


def leave_out(n_patients: int, width: int) -> Float32[np.ndarray, "width g"]:
    """Counts that each leave out one patient, or with more than 400 patients, one of 400 groups."""
    groups = min(n_patients, _MOST_LEFT_OUT)
    counts = np.zeros((width, groups), np.float32)
    counts[:n_patients] = np.arange(n_patients)[:, None] % groups != np.arange(groups)
    return counts


@partial(jax.jit, static_argnames="statistic")
def replicate(statistic: Statistic, data: Any, counts: Float32[Array, "p r"]) -> dict[str, Shaped[Array, "*shape"]]:
    """The statistic for every column of ``counts``; NaN where it is undefined in a replicate."""
    p, r = counts.shape
    largest = max((x.shape[0] for x in jax.tree.leaves(data) if x.ndim), default=1)
    chunk = min(_CHUNK, max(_MOST_ELEMENTS // max(largest, p), 8))
    columns = jnp.pad(counts, ((0, 0), (0, -r % chunk))).reshape(p, -1, chunk)
    values = jax.lax.map(partial(statistic, data), jnp.moveaxis(columns, 1, 0))  # [chunks … chunk]
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], -1)[..., :r], values)


@dataclasses.dataclass(frozen=True)
class Replicates:
    """A quantity's value and replicates."""

    value: float
    drawn: np.ndarray  # bootstrap replicates [r]
    left_out: np.ndarray  # jackknife values [g], each with one patient or group left out


@dataclasses.dataclass(frozen=True)
class Resampling:
    """One set of draws of ``n_patients``, for every quantity of these patients.

    ``counts`` has ``width`` rows, more than there are patients: padding of the data belongs to a row that is never
    drawn.
    """

    n_patients: int
    counts: jax.Array  # [width, 1 + replicates + left out]
    replicates: int

    @classmethod
    def draw(cls, n_patients: int, replicates: int, seed: int) -> "Resampling":
        """The draws of ``seed``, the same for all runs with this many patients."""
        width = padded(n_patients + 1)
        once = (np.arange(width)[:, None] < n_patients).astype(np.float32)
        drawn = resample(seed, n_patients, replicates=replicates, width=width)
        return cls(n_patients, jnp.concatenate([once, drawn, leave_out(n_patients, width)], axis=1), replicates)

    @property
    def width(self) -> int:
        return self.counts.shape[0]

    def run(self, statistic: Statistic, data: Any) -> dict[str, list[Replicates]]:
        """Replicates of everything that the statistic returns: a list of one for a number, of several for a vector."""
        values = jax.tree.map(np.asarray, replicate(statistic, data, self.counts))
        cut = 1 + self.replicates
        return {
            name: [Replicates(float(row[0]), row[1:cut], row[cut:]) for row in np.atleast_2d(x)]
            for name, x in values.items()
        }


def summed(sums: Shaped[Array, " p *shape"], counts: Float32[Array, "p r"]) -> Shaped[Array, "*shape r"]:
    """Sums of per-patient sums, each as often as its patient was drawn; whole numbers stay exact below 2**24."""
    # The default precision would round counts to bfloat16 on a TPU.
    return jnp.tensordot(jnp.asarray(sums, jnp.float32), counts, (0, 0), precision="highest")


def ratio(part: Shaped[Array, "*shape"], whole: Shaped[Array, "*#shape"]) -> Shaped[Array, "*shape"]:
    """``part / whole``, NaN where ``whole`` is not positive."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), jnp.nan)


def means(data: dict[str, Shaped[Array, "p 2"]], counts: Float32[Array, "p r"]) -> dict[str, Float32[Array, " r"]]:
    """Statistic of plain means: ``[p 2]`` holds for each patient a sum of values and their number."""
    return {name: ratio(*summed(x, counts)) for name, x in data.items()}


def padded(n: int) -> int:
    """The next larger of a few sizes (four per power of two, at least 64): few sizes mean few compilations."""
    step = max(16, (1 << max(n - 1, 1).bit_length()) // 8)
    return max(64, -(-n // step) * step)


def pad(x: Shaped[np.ndarray, " k"], fill: int | float) -> Shaped[np.ndarray, " w"]:
    """``x`` followed by as many times ``fill`` as make it :func:`padded` long."""
    return np.pad(x, (0, padded(len(x)) - len(x)), constant_values=fill)
