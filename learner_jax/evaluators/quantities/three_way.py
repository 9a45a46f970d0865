"""Three-way change: the score decreased, stayed stable, or increased, beyond the stated threshold."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from learner_jax.evaluators.change import macro_f1
from learner_jax.evaluators.names import WORDS
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities.api import Family, Prepared, Quantity, by_patient, contributing
from learner_jax.evaluators.statistics.bootstrap import Counts, ratio, summed

CELLS = tuple(f"{true} called {called}" for true in WORDS for called in WORDS)

QUANTITIES = {
    "macro_f1": Quantity("three-way macro-F1"),
    "accuracy": Quantity("three-way accuracy"),
    "accuracy_per_patient": Quantity("three-way accuracy, mean over patients"),
    "balanced_accuracy": Quantity("balanced accuracy"),
    "quadratic_kappa": Quantity("quadratic κ", 0.0, "undefined: truth and prediction hold a single class"),
    "confusion": Quantity("pairs by true and predicted class"),
}
_DISTANCE = np.array([[0, 1, 4], [1, 0, 1], [4, 1, 0]], np.float32) / 4


def prepare(predictions: Predictions, width: int) -> Prepared | None:
    """Confusion matrix of each patient; None without scored pairs."""
    truth = predictions.truth
    if not truth.scored.any():
        return None
    at = np.flatnonzero(truth.scored)
    matrices = confusion(truth.change[at], predictions.change[at], truth.patient[at], width)
    n = contributing(truth.patient, truth.scored)
    return Prepared({"matrices": matrices}, dict.fromkeys(QUANTITIES, n), {"confusion": CELLS})


def confusion(
    change: Int[np.ndarray, " k"], called: Int[np.ndarray, " k"], patient: Int[np.ndarray, " k"], width: int
) -> Float[np.ndarray, "width 3 3"]:
    """Pairs of each patient by true class (rows) and predicted class (columns), in the order of ``change.CLASSES``."""
    cell = np.eye(9)[(change + 1) * 3 + (called + 1)]
    return by_patient(cell, patient, width).reshape(width, 3, 3)


def statistic(data: dict, counts: Counts) -> dict[str, jax.Array]:
    """The quantities of every draw.

    * macro-F1 and balanced accuracy (mean recall over the classes that occur in truth; chance is one over their number,
      1/2 where a threshold of 0 leaves no stable pair): NaN if a class of the whole
      sample has no pair among the drawn patients, since their scale would differ;
    * quadratic κ: ``1 - Σ w O / Σ w E`` with ``w = (i - j)² / 4`` and E from the margins (Cohen, doi 10.1037/h0026256);
    * confusion: pairs in each cell.
    """
    matrices = jnp.asarray(data["matrices"])
    cells = summed(matrices, counts)  # [3 3 r]
    matrix = jnp.moveaxis(cells, -1, 0)
    support, right, total = matrix.sum(-1), jnp.trace(matrix, axis1=1, axis2=2), matrix.sum((1, 2))
    occurs = support > 0
    complete = (occurs == (matrices.sum(axis=(0, 2)) > 0)).all(-1) & occurs.any(-1)
    recall = jnp.where(occurs, jnp.diagonal(matrix, axis1=1, axis2=2) / jnp.where(occurs, support, 1), 0)
    own = matrices.sum((1, 2))
    share = jnp.where(own > 0, jnp.trace(matrices, axis1=1, axis2=2) / jnp.where(own > 0, own, 1), 0)
    shares = summed(jnp.stack([share, own > 0], axis=1), counts)
    return {
        "macro_f1": jnp.where(complete, macro_f1(matrix), jnp.nan),
        "accuracy": ratio(right, total),
        "accuracy_per_patient": ratio(shares[0], shares[1]),
        "balanced_accuracy": jnp.where(complete, recall.sum(-1) / jnp.maximum(occurs.sum(-1), 1), jnp.nan),
        "quadratic_kappa": quadratic_kappa(matrix),
        "confusion": cells.reshape(9, -1),
    }


def quadratic_kappa(matrix: Float[Array, "r 3 3"]) -> Float[Array, " r"]:
    """Cohen's κ with quadratic weights; NaN if truth and prediction both hold only the same single class."""
    total = matrix.sum((1, 2))
    share = matrix / jnp.where(total > 0, total, 1)[:, None, None]
    expected = share.sum(2)[:, :, None] * share.sum(1)[:, None, :]
    return 1 - ratio((share * _DISTANCE).sum((1, 2)), (expected * _DISTANCE).sum((1, 2)))


FAMILY = Family(QUANTITIES, prepare, statistic)
