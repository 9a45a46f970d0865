"""Distance between two visits, with a sign that tells which of them is nearer to a pool of references."""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from learner_jax.evaluators.blockwise import cosine_distance, float64, over_rows, pair_distance
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.readouts.api import Compared, Context, Fitted, count_observations, register
from learner_jax.evaluators.readouts.checks import labeled

POOL = 10


@dataclasses.dataclass(frozen=True)
class Reference:
    """``delta = D(u1, u2) · sign(s(u1) - s(u2))``, ``D`` the cosine distance, ``s`` the median ``D`` to the pool.

    The pool has high scores, so the score rises towards it. A distance has no direction; the pool supplies the sign.
    Source: Li et al., npj Digital Medicine 3 (2020) 48, doi 10.1038/s41746-020-0255-1, where distances are Euclidean;
    the product of distance and sign is our reading.
    """

    kind: str
    in_score_units: bool
    pool: Float32[np.ndarray, "p d"]

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return self.pool.shape[1]

    def severity(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Median cosine distance to the pool: high where the score is low."""
        pool = float64(self.pool)

        def median(block: np.ndarray) -> np.ndarray:
            return np.median([cosine_distance(block, one[None]) for one in pool], axis=0)

        return over_rows(median, u)

    def scores(self, u: Float[np.ndarray, "n d"]) -> None:
        """None: the distance of a pair is not a difference of two scores."""
        return None

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """Signed cosine distances."""
        severity, distance = self.severity(u), pair_distance(u, first, second)
        return Compared(distance * np.sign(severity[first] - severity[second]))


@register("reference", Reference)
def reference(train: Observations, val: Observations, context: Context) -> Fitted:
    """The pool: the 10 training observations with the highest scores, taking each patient's best before any second."""
    known = labeled(train, context.score_name)
    by_score = np.argsort(-known.score.astype(np.float64), kind="stable")
    best_of_patient = np.unique(known.patient[by_score], return_index=True)[1]
    second = np.ones(len(known), bool)
    second[best_of_patient] = False
    chosen = np.sort(by_score[np.argsort(second, kind="stable")[:POOL]])
    pool = count_observations(len(chosen), context.config.pairs, of=len(known))
    return Fitted(
        Reference("reference", False, known.u[chosen]), f"{pool}: those with the highest {context.score_name}"
    )
