"""A score that is linear in the embedding, as ridge fits it and most trained heads have it."""

import dataclasses

import numpy as np
from jaxtyping import Float, Float64

from learner_jax.evaluators.blockwise import over_rows
from learner_jax.evaluators.readouts.api import ScoreDifference


@dataclasses.dataclass(frozen=True)
class LinearScore(ScoreDifference):
    """``score = intercept + ((u - mean) / std) · coef``; the delta is the difference of two scores.

    Antisymmetric by construction: swapping the visits flips the sign of the delta, and a visit has no change against
    itself.
    """

    kind: str
    in_score_units: bool
    mean: Float64[np.ndarray, " d"]
    std: Float64[np.ndarray, " d"]
    coef: Float64[np.ndarray, " d"]  # 0, with std 1, for dimensions that are constant in training
    intercept: float
    penalty: float = 0.0  # lambda of |y - X w|^2 + lambda |w|^2; 0 for a trained head

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return len(self.coef)

    def scores(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """One score per observation."""

        def score(block: np.ndarray) -> np.ndarray:
            block -= self.mean
            block /= self.std
            block *= self.coef
            return block.sum(axis=1) + self.intercept

        return over_rows(score, u)
