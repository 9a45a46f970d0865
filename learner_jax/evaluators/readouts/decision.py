"""From a delta, or from three logits, to a class of change and its probabilities, as fitted on validation pairs.

Swapping the visits swaps decrease and increase in classes and probabilities, to the bit.
"""

import dataclasses

import numpy as np
import scipy  # its parts are loaded where they are first used: optimize takes half a second
from jaxtyping import Float, Float64, Int, Int32
from scipy.special import log_ndtr, ndtr

from learner_jax.evaluators.change import change_class, fit_threshold

_NO_PAIRS = "no fine pairs in validation"
_FLATTEST, _STEEPEST = 1e-3, 1e3  # root mean square of the deltas over temperature
_WIDEST = 10.0  # most of cut over temperature: at small deltas P(stable) is then 1 in float64
_NARROWEST = 1e-6  # least of it where any pair is stable: at 0 the likelihood of a stable pair is 0
_STARTS = [(width, steepness) for width in (0.1, 0.5, 1.0, 2.0) for steepness in (0.1, 0.3, 1.0, 3.0, 10.0)]
_SHARPEST = np.log(100.0)  # 1 / temperature of logits is within a factor of 100 of 1
_HALF_LOG_TAU = 0.5 * np.log(2 * np.pi)


@dataclasses.dataclass(frozen=True)
class Decision:
    """How a read-out decides: from logits if it has them, else from a delta.

    Without logits, a pair has changed if ``|delta| > threshold``, and probabilities are those of an ordered probit:
    ``P(up) = Φ((delta - cut) / temperature)``, ``P(down) = Φ((-delta - cut) / temperature)``, the rest is stable. With
    logits, the class is that of the largest, and probabilities are ``softmax(logits / temperature)``.
    """

    threshold: float | None  # on |delta|, in its units; None with logits
    threshold_source: str  # where it comes from, for people
    cut: float | None  # >= 0, in units of the delta; None with logits or without probabilities
    temperature: float | None  # > 0; None without probabilities
    temperature_source: str

    def change(
        self, delta: Float64[np.ndarray, " k"] | None, logits: Float64[np.ndarray, "k 3"] | None
    ) -> Int32[np.ndarray, " k"]:
        """-1, 0 or 1. Equal largest logits, and a delta of exactly the threshold, are stable."""
        if logits is None:
            return change_class(delta, self.threshold)
        down, stable, up = logits.T
        rises, falls = (up > stable) & (up > down), (down > stable) & (down > up)
        return (rises.astype(np.int32) - falls).astype(np.int32)

    def probability(
        self, delta: Float64[np.ndarray, " k"] | None, logits: Float64[np.ndarray, "k 3"] | None
    ) -> Float64[np.ndarray, "k 3"] | None:
        """Probabilities of decrease, stable and increase; None if they could not be fitted."""
        if self.temperature is None:
            return None
        if logits is not None:
            return softmax(logits / self.temperature)
        up = ndtr((delta - self.cut) / self.temperature)
        down = ndtr((-delta - self.cut) / self.temperature)
        return np.stack([down, np.maximum(1 - (up + down), 0), up], axis=1)


def fit_decision(
    delta: Float64[np.ndarray, " k"] | None,
    logits: Float64[np.ndarray, "k 3"] | None,
    change: Int[np.ndarray, " k"],
    change_threshold: float,
    in_score_units: bool,
) -> Decision:
    """Fit a decision to the fine pairs of validation.

    Args:
      delta: predicted for each pair; not needed with logits.
      logits: predicted for each pair; None if the read-out has none.
      change: the true class of each pair.
      change_threshold: ``config.eval.change_threshold``, score units. Without any pairs it becomes the threshold on
        deltas in score units; on other deltas the threshold is then 0.
      in_score_units: whether the delta is in score units.
    """
    k = len(change)
    source = f"maximum likelihood on {k:,} validation fine pairs"
    if logits is not None:
        temperature, source = (logit_temperature(logits, change), source) if k else (1.0, f"1, as fitted: {_NO_PAIRS}")
        return Decision(None, "the largest of three logits; of equal ones stable", None, temperature, source)
    if k:
        threshold = fit_threshold(delta, change, change_threshold if in_score_units else 0.0)
        return Decision(threshold, f"highest macro-F1 on {k:,} validation fine pairs", *probit(delta, change), source)
    fallback = (change_threshold, f"config.eval.change_threshold: {_NO_PAIRS}")
    if not in_score_units:
        fallback = (0.0, f"0: {_NO_PAIRS}, and this read-out's delta is not in score units")
    return Decision(*fallback, None, None, f"no probabilities: {_NO_PAIRS}")


def probit(delta: Float64[np.ndarray, " k"], change: Int[np.ndarray, " k"]) -> tuple[float, float]:
    """``(cut, temperature)`` of the ordered probit by maximum likelihood, from at least one pair.

    The likelihood is log-concave in ``cut / temperature`` and ``1 / temperature``, so a maximum is unique. There is
    none if the pairs are separable or the deltas contradict the truth: the temperature is therefore kept within 1e-3
    and 1e3 times the root mean square of the deltas. Without a stable pair the cut is 0.
    Source: McCullagh, J. R. Statist. Soc. B 42 (1980) 109, doi 10.1111/j.2517-6161.1980.tb01109.x.
    """
    scale = float(np.sqrt(np.mean(np.square(delta)))) or 1.0
    x = (delta / scale, change)
    lowest = _NARROWEST if (change == 0).any() else 0.0
    start = min(_STARTS, key=lambda start: _probit_cost(np.array(start), *x)[0])
    found = scipy.optimize.minimize(
        _probit_cost, start, args=x, jac=True, method="L-BFGS-B", bounds=[(lowest, _WIDEST), (_FLATTEST, _STEEPEST)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    width, steepness = map(float, found.x)
    return width / steepness * scale, scale / steepness


def _probit_cost(at: np.ndarray, delta: np.ndarray, change: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of -log P at ``(cut / temperature, 1 / temperature)``, with its gradient."""
    width, steepness = at
    moved = change != 0
    toward = (delta * change)[moved]
    z = steepness * toward - width
    log_moved = log_ndtr(z)
    slope = np.exp(_log_density(z) - log_moved)
    size = np.abs(delta[~moved])
    inner, outer = width - steepness * size, -width - steepness * size
    log_inner = log_ndtr(inner)
    log_stable = log_inner + np.log(-np.expm1(log_ndtr(outer) - log_inner))
    near, far = (np.exp(_log_density(z) - log_stable) for z in (inner, outer))
    by_width = -slope.sum() + (near + far).sum()
    by_steepness = (toward * slope).sum() + (size * (far - near)).sum()
    k = len(delta)
    return -(log_moved.sum() + log_stable.sum()) / k, -np.array([by_width, by_steepness]) / k


def _log_density(z: np.ndarray) -> np.ndarray:
    return -0.5 * z * z - _HALF_LOG_TAU


def logit_temperature(logits: Float64[np.ndarray, "k 3"], change: Int[np.ndarray, " k"]) -> float:
    """The temperature between 0.01 and 100 that maximises the likelihood of ``softmax(logits / temperature)``.

    1 if no other is better. Source: Guo et al., ICML 2017, arXiv 1706.04599.
    """

    def cost(log_inverse: float) -> float:
        return mean_nll(logits * np.exp(log_inverse), change)

    found = scipy.optimize.minimize_scalar(
        cost, bounds=(-_SHARPEST, _SHARPEST), method="bounded", options={"xatol": 1e-9}
    )
    return float(np.exp(-found.x)) if found.fun < cost(0.0) - 1e-12 else 1.0


def mean_nll(logits: Float[np.ndarray, "k 3"], change: Int[np.ndarray, " k"]) -> float:
    """Mean of -log softmax of the true class; the classes are -1, 0, 1."""
    peak = logits.max(axis=1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return float(np.mean(total - logits[np.arange(len(change)), change + 1]))


def softmax(logits: Float64[np.ndarray, "k 3"]) -> Float64[np.ndarray, "k 3"]:
    """Softmax of rows; mirrored logits give mirrored probabilities, to the bit."""
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    down, stable, up = weight.T
    # the outer two first: a sum from left to right could round mirrored rows differently
    return weight / ((down + up) + stable)[:, None]
