"""A score that is linear in the embedding: what ridge fits and what most trained heads are."""

import dataclasses

import numpy as np
from jaxtyping import Float, Float64, Int

from learner_jax.evaluators.blockwise import over_rows
from learner_jax.evaluators.readouts.api import Compared


@dataclasses.dataclass(frozen=True)
class LinearScore:
    """``score = intercept + ((u - mean) / std) · coef``; the delta is the difference of two scores.

    Antisymmetric by construction: swapped visits give the same delta with the other sign, and a visit has not changed
    against itself.
    """

    kind: str
    in_score_units: bool
    mean: Float64[np.ndarray, " d"]
    std: Float64[np.ndarray, " d"]
    coef: Float64[np.ndarray, " d"]  # 0 where a dimension was constant, and std 1
    intercept: float
    penalty: float = 0.0  # lambda of |y - X w|^2 + lambda |w|^2; 0 where the coefficients were not fitted here

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

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """Differences of scores."""
        scores = self.scores(u)
        return Compared(scores[second] - scores[first], scores=scores)
