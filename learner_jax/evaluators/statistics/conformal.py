"""Bounds and three-way sets that hold for a stated share of pairs of new patients, calibrated on whole patients."""

import numpy as np
from jaxtyping import Bool, Float, Int


def conformal_quantile(misfit: Float[np.ndarray, " k"], patient: Int[np.ndarray, " k"], coverage: float) -> float:
    """A bound that the misfit of a random pair of a new patient stays within, with probability at least ``coverage``.

    Pairs are not exchangeable between patients, but patients are. So each of n patients has weight ``1 / (n + 1)``,
    divided among its pairs, and the remaining ``1 / (n + 1)`` lies at infinity; the bound is the ``coverage`` quantile
    of this distribution. Hierarchical conformal prediction: Lee, Barber & Willett, arXiv 2306.06342.

    Args:
      misfit: of validation pairs; any number that is larger the worse a pair is predicted.
      patient: of each pair, any integers.
      coverage: probability that the bound holds.

    Returns:
      The bound; infinity with fewer than ``coverage / (1 - coverage)`` patients, when nothing can be promised.
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
    """The largest ``1 - p(class)`` of the classes in a set, such that sets hold the true class with ``coverage``.

    It is the :func:`conformal_quantile` of ``1 - p(true class)``.

    Args:
      probability: of the classes -1, 0, 1.
      change: the true class of each pair.
      patient: of each pair, any integers.
      coverage: probability that a set holds the true class.
    """
    return conformal_quantile(1 - probability[np.arange(len(change)), change + 1], patient, coverage)


def conformal_sets(probability: Float[np.ndarray, "k 3"], level: float) -> Bool[np.ndarray, "k 3"]:
    """Which classes the set of each pair holds; a set may be empty."""
    return 1 - probability <= level
