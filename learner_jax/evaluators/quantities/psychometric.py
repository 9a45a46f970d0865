"""How large must a change be to be seen? Order by size of the true difference, and the size at which 75 % are right."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import log_ndtr, ndtri

from learner_jax.evaluators.blockwise import blocks
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient, contributing
from learner_jax.evaluators.statistics.bootstrap import Counts, ratio, summed

_BINS, _LEAST_PAIRS = 6, 10  # bins of equally many pairs, and fewer where they would hold fewer pairs than this
_GRID = 192  # values of σ, from 1/1000 to 10 times the largest change: the 75 % point is off by less than 0.1 %
_BLOCK = 8192  # pairs at a time, each over the whole grid

QUANTITIES = {
    "accuracy_by_size": Quantity("pairwise accuracy by |Δscore|", 0.5),
    "noticed_change": Quantity(
        "|Δscore| ordered right 75 %",
        None,
        "undefined: even at the largest change in the data, order is right less than 3 times in 4",
    ),
}


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Right answers by size of the change, and log-likelihoods over a grid of the curve's only parameter."""
    truth = predictions.truth
    at = np.flatnonzero(truth.scored & (truth.delta != 0))
    if at.size == 0:
        return None
    patient, size = truth.patient[at], np.abs(truth.delta[at])
    right = (1 + np.sign(truth.delta[at]) * np.sign(predictions.delta[at])) / 2
    edges = np.unique(np.quantile(size, np.linspace(0, 1, max(1, min(_BINS, at.size // _LEAST_PAIRS)) + 1)))
    which = np.clip(np.searchsorted(edges, size, "right") - 1, 0, max(len(edges) - 2, 0))
    bins = np.eye(_BINS)[which]
    spans = [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)] or [f"{edges[0]:.4g}"]
    grid = np.geomspace(size.max() / 1000, size.max() * 10, _GRID)
    data = {
        "right": by_patient(bins * right[:, None], patient, width),
        "pairs": by_patient(bins, patient, width),
        "likelihood": sum(
            by_patient(log_likelihood(size[b], right[b], grid), patient[b], width) for b in blocks(len(size), _BLOCK)
        ),
        "grid": grid.astype(np.float32),
        "largest": np.float32(size.max()),
    }
    each = tuple(contributing(patient, which == bin) for bin in range(len(spans)))
    n = {"accuracy_by_size": each, "noticed_change": contributing(patient)}
    return Prepared(data, n, {"accuracy_by_size": tuple(spans)})


def log_likelihood(
    size: Float[np.ndarray, " k"], right: Float[np.ndarray, " k"], width: Float[np.ndarray, " g"]
) -> Float[np.ndarray, "k g"]:
    """``right ln Φ(size / width) + (1 - right) ln Φ(-size / width)``: answers are signs of size plus normal noise."""
    z = size[:, None] / width
    return right[:, None] * log_ndtr(z) + (1 - right[:, None]) * log_ndtr(-z)


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * accuracy by size: pairwise accuracy in bins of equally many pairs;
    * noticed change: the 75 % point of the psychometric curve, where ``Φ(|Δ| / σ) = 3/4``, with σ by maximum likelihood
      (Thurstone's law; Gescheider, Psychophysics, 1997); 0 if no pair is ordered wrongly, since σ then is 0; infinite
      if it is beyond the largest change in the data, where the curve is not known.
    """
    fit, pairs = summed(data["likelihood"], counts), summed(data["pairs"], counts)  # [g r], [bins r]
    sigma = _peak(jnp.log(data["grid"]), fit)
    noticed = jnp.where(fit.argmax(0) > 0, jnp.exp(sigma) * float(ndtri(0.75)), 0)
    return {
        "accuracy_by_size": ratio(summed(data["right"], counts), pairs),
        "noticed_change": jnp.where(pairs.sum(0) > 0, jnp.where(noticed <= data["largest"], noticed, jnp.inf), jnp.nan),
    }


def _peak(x: Float[Array, " g"], y: Float[Array, "g r"]) -> Float[Array, " r"]:
    """The peak of ``y`` over an even grid ``x``: the vertex of a parabola through the best point and its neighbours."""
    at = jnp.clip(jnp.argmax(y, axis=0), 1, len(x) - 2)
    low, mid, high = (jnp.take_along_axis(y, (at + step)[None], 0)[0] for step in (-1, 0, 1))
    bend = low - 2 * mid + high
    shift = jnp.where(bend < 0, (low - high) / jnp.where(bend < 0, 2 * bend, 1), 0)
    return x[at] + jnp.clip(shift, -1, 1) * (x[1] - x[0])


FAMILY = Family(QUANTITIES, prepare, statistic)
