"""Three-way change of a fine pair: the score decreased, stayed stable, or increased.

Whether an increase is an improvement depends on the score; the classes only say what the number did.
"""

import numpy as np
from jaxtyping import Array, Float, Int, Int32, Num, Shaped

CLASSES = (-1, 0, 1)  # the score decreased, stayed stable, increased
_EYE = np.eye(3, dtype=np.float32)


def true_change(
    first: Float[np.ndarray, " k"], second: Float[np.ndarray, " k"], threshold: float
) -> Int32[np.ndarray, " k"]:
    """Sign of ``second - first`` beyond ``threshold`` (score units); a change of exactly the threshold is stable."""
    delta = second.astype(np.float64) - first.astype(np.float64)
    # Scores are stored as float32, where 0.3 - 0.2 exceeds 0.1.
    rounding = 1e-6 * np.maximum(np.abs(first), np.abs(second))
    return change_class(delta, threshold + rounding)


def change_class(delta: Float[np.ndarray, " k"], threshold: float | Float[np.ndarray, " k"]) -> Int32[np.ndarray, " k"]:
    """-1, 0 or 1: ``sign(delta)`` where ``|delta| > threshold``, else 0."""
    return np.where(np.abs(delta) > threshold, np.sign(delta), 0).astype(np.int32)


def macro_f1(matrix: Shaped[Array | np.ndarray, "*n 3 3"]) -> Num[Array | np.ndarray | np.generic, "*n"]:
    """Mean F1 over the classes that occur in truth or prediction; ``F1 = 2 TP / (true + predicted)``.

    scikit-learn's ``f1_score(average="macro")`` without ``labels``. Operators only: numpy and JAX arrays both pass.
    """
    pairs = matrix.sum(-1) + matrix.sum(-2)
    occurs = pairs > 0
    f1 = 2 * (matrix * _EYE).sum(-1) / (pairs + ~occurs)
    return f1.sum(-1) / occurs.sum(-1)


def fit_threshold(predicted_delta: Float[np.ndarray, " k"], change: Int[np.ndarray, " k"], near: float) -> float:
    """The threshold on ``|predicted delta|`` with the highest macro-F1.

    Candidates are the midpoints between neighbouring values of ``|predicted delta|`` and 0, and one above them all.

    Args:
      predicted_delta: of each pair.
      change: the true class of each pair, -1, 0 or 1.
      near: among equally good candidates, the one nearest to this wins.
    """
    size = np.abs(predicted_delta).astype(np.float64)
    order = np.argsort(size, kind="stable")
    size, change, sign = size[order], change[order], np.sign(predicted_delta[order]).astype(int)
    edges = np.unique(np.append(size, 0.0))
    candidates = np.append((edges[1:] + edges[:-1]) / 2, max(1.5 * edges[-1], near))
    below = np.searchsorted(size, candidates, "right")  # how many pairs each candidate calls stable
    stable = np.zeros((len(size) + 1, 3, 3), np.int64)
    moved = np.zeros_like(stable)
    at = np.arange(len(size))
    stable[at + 1, change + 1, 1] = 1
    moved[at + 1, change + 1, sign + 1] = 1
    stable, moved = stable.cumsum(axis=0), moved.cumsum(axis=0)
    f1 = macro_f1(stable[below] + moved[-1] - moved[below])
    best = candidates[f1 >= f1.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - near))])
