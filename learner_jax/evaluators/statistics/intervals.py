"""From replicates to a row of a table: percentile and BCa intervals, and the notes that a reader needs."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri, stdtrit

from learner_jax.evaluators.rows import Row
from learner_jax.evaluators.statistics.bootstrap import Replicates

_ROUNDING = 1e-6  # of a value: what replicates in float32 may differ by where all are equal
FEW_PATIENTS = 30  # below, intervals are visibly too narrow (docs/evaluation.md has the simulated coverage)

Interval = tuple[float | None, float | None]


def percentile_interval(
    drawn: Float[np.ndarray, " r"], confidence: float, n_patients: int | float = np.inf
) -> Interval:
    """Quantiles of the replicates that are defined, expanded for ``n_patients``.

    Plain percentile intervals (infinitely many patients; Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13) are too narrow, like normal ones with a variance over n. So the quantiles are taken at ``Φ(±z)`` with
    ``z = sqrt(n / (n - 1)) t``, t with n - 1 degrees of freedom: Hesterberg, The American Statistician 69 (2015) 371,
    doi 10.1080/00031305.2015.1089789.
    """
    z = _deviate(confidence, n_patients)
    return _quantiles(drawn, ndtr(-z), ndtr(z))


def bca_interval(
    value: float,
    drawn: Float[np.ndarray, " r"],
    left_out: Float[np.ndarray, " g"],
    confidence: float,
    n_patients: int | float = np.inf,
) -> Interval:
    """Bias-corrected and accelerated interval, expanded for ``n_patients`` as :func:`percentile_interval` is.

    With ``z0 = Φ⁻¹(share of replicates below the value, ties half)`` and
    ``a = Σ (θ̄ - θᵢ)³ / (6 (Σ (θ̄ - θᵢ)²)^1.5)`` over the values with a patient left out, the limits are the replicates'
    quantiles at ``Φ(z0 + (z0 + z) / (1 - a (z0 + z)))``. Efron, J. Am. Statist. Assoc. 82 (1987) 171, doi
    10.1080/01621459.1987.10478410. The percentile interval where that is undefined.
    """
    known, jackknife = (x[~np.isnan(x)].astype(np.float64) for x in (drawn, left_out))
    if known.size == 0:
        return None, None
    pulls = jackknife.mean() - jackknife if jackknife.size else np.zeros(1)
    spread = np.sum(pulls**2)
    share = (np.mean(known < value) + np.mean(known <= value)) / 2
    if not spread > 0 or not 0 < share < 1:
        return percentile_interval(drawn, confidence, n_patients)
    acceleration, bias = np.sum(pulls**3) / (6 * spread**1.5), ndtri(share)
    z = bias + np.array([-1, 1]) * _deviate(confidence, n_patients)
    if (1 - acceleration * z <= 0).any():  # so few patients that a single one dominates
        return percentile_interval(drawn, confidence, n_patients)
    low, high = ndtr(bias + z / (1 - acceleration * z))
    return _quantiles(drawn, low, high)


def _deviate(confidence: float, n_patients: int | float) -> float:
    if np.isinf(n_patients):
        return float(ndtri((1 + confidence) / 2))
    return float(stdtrit(n_patients - 1, (1 + confidence) / 2) * np.sqrt(n_patients / (n_patients - 1)))


def _quantiles(drawn: np.ndarray, low: float, high: float) -> Interval:
    known = drawn[~np.isnan(drawn)].astype(np.float64)
    if known.size == 0:
        return None, None
    if np.isfinite(known).all():
        ends = np.quantile(known, [low, high])
    else:  # nothing lies between a number and infinity
        ends = np.quantile(known, low, method="lower"), np.quantile(known, high, method="higher")
    return float(ends[0]), float(ends[1])


def _rule_of_three(n_patients: int) -> str:
    """Upper limit of a share of which ``n`` patients show nothing: Hanley & Lippman-Hand, JAMA 249 (1983) 1743."""
    return f"{min(1, 3 / n_patients):.0%}".replace("%", " %")


def make_row(
    name: str,
    found: Replicates,
    *,
    method: str,
    confidence: float,
    n_patients: int,
    n_pairs: int | None,
    undefined: str = "undefined",
    at: str = "",
) -> Row:
    """A value with its interval and counts, and a note with whatever a reader must know about them.

    Args:
      name: of the quantity.
      found: if its value is NaN or infinite, the row has no value and its note is ``undefined``. An infinite replicate
        lies beyond what the data can show; a limit among these is None.
      method: ``percentile`` or ``bca``.
      confidence: of the interval.
      n_patients: patients that contribute to this quantity.
      n_pairs: pairs that do; None if it is over observations.
      undefined: why there may be no value.
      at: which of several values this is.
    """
    if not np.isfinite(found.value):
        return Row(name, None, None, None, n_patients, n_pairs, undefined, at)
    if n_patients < 2:
        return Row(name, found.value, None, None, n_patients, n_pairs, "1 patient: an interval needs at least 2", at)
    if method == "bca":
        low, high = bca_interval(found.value, found.drawn, found.left_out, confidence, n_patients)
    else:
        low, high = percentile_interval(found.drawn, confidence, n_patients)
    notes = []
    if low is not None and np.isfinite(low) and high - low <= _ROUNDING * abs(found.value):
        low = high = None
        notes.append(
            f"every resample gives this value, and up to {_rule_of_three(n_patients)} of patients may yet differ"
        )
    elif n_patients < FEW_PATIENTS:
        notes.append(f"{n_patients} patients: with fewer than {FEW_PATIENTS} the interval is too narrow")
    if lost := int(np.isnan(found.drawn).sum()):
        notes.append(f"{lost} of {found.drawn.size} resamples left it undefined and are left out")
    if beyond := int(np.isinf(found.drawn).sum()):
        notes.append(f"{beyond} of {found.drawn.size} resamples put it beyond what these data can show")
    low, high = (end if end is not None and np.isfinite(end) else None for end in (low, high))
    return Row(name, found.value, low, high, n_patients, n_pairs, "; ".join(notes), at)
