"""What holds for a stated share of pairs of new patients, calibrated on whole patients: bounds and three-way sets."""

import numpy as np
from jaxtyping import Bool, Float, Int


def conformal_quantile(misfit: Float[np.ndarray, " k"], patient: Int[np.ndarray, " k"], coverage: float) -> float:
    """What the misfit of a random pair of a new patient does not exceed, with at least this probability.

    Pairs of one patient are not exchangeable with those of another, patients are. So each of n patients weighs
    ``1 / (n + 1)``, shared out among its pairs, and the last ``1 / (n + 1)`` lies at infinity; the answer is the
    ``coverage`` quantile of this distribution. Hierarchical conformal prediction: Lee, Barber & Willett, arXiv
    2306.06342.

    Args:
      misfit: of validation pairs; anything that is larger the worse a pair is predicted.
      patient: any integers.

    Returns:
      infinity with fewer than ``coverage / (1 - coverage)`` patients: nothing can be promised.
    """
    patients, owner, pairs = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.argsort(misfit, kind="stable")
    mass = np.cumsum(1 / pairs[owner[order]]) / (len(patients) + 1)
    at = np.searchsorted(mass, coverage - 1e-12)
    return float(misfit[order[at]]) if at < len(mass) else np.inf


def conformal_level(
    probability: Float[np.ndarray, "k 3"],
    change: Int[np.ndarray, " k"],
    patient: Int[np.ndarray, " k"],
    coverage: float,
) -> float:
    """The largest ``1 - p(class)`` that a class in the set may have: the :func:`conformal_quantile` of that of the true
    class, so that a set holds it with at least that probability.

    Args:
      probability: of the classes -1, 0, 1.
      change: true class.
    """
    return conformal_quantile(1 - probability[np.arange(len(change)), change + 1], patient, coverage)


def conformal_sets(probability: Float[np.ndarray, "k 3"], level: float) -> Bool[np.ndarray, "k 3"]:
    """The classes that each pair's set holds; it may be empty."""
    return 1 - probability <= level
