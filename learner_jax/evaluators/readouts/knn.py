"""Score of the nearest training observations."""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32, Float64

from learner_jax.evaluators.blockwise import float64, over_rows, unit, whole
from learner_jax.evaluators.pairs import Observations, draw
from learner_jax.evaluators.readouts.api import Context, Fitted, ScoreDifference, count_observations, register
from learner_jax.evaluators.readouts.checks import labeled

NEIGHBOURS = (1, 3, 5, 10, 20, 50)
DEFAULT = 10
MOST = 8192  # references: 25 MB in a read-out of width 768
_ROWS = 512  # at a time: 33 MB of similarities


@dataclasses.dataclass(frozen=True)
class NearestNeighbours(ScoreDifference):
    """``score(u)`` is the mean score of the k nearest references by cosine distance; the delta is a difference of two.

    References that tie for the last places share these, so that their order does not matter.
    """

    kind: str
    in_score_units: bool
    k: int
    references: Float32[np.ndarray, "r d"]
    reference_scores: Float64[np.ndarray, " r"]

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return self.references.shape[1]

    def scores(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Mean score of the nearest references."""
        return nearest_scores(u, self.references, self.reference_scores, (self.k,))[:, 0]


def nearest_scores(
    u: Float[np.ndarray, "n d"],
    references: Float[np.ndarray, "r d"],
    score: Float64[np.ndarray, " r"],
    neighbours: tuple[int, ...],
) -> Float64[np.ndarray, "n q"]:
    """Mean score of the nearest ``k`` references for each ``k`` of ``neighbours``; no ``k`` may exceed ``r``.

    Similarities are exact products of unit vectors whose components are rounded to multiples of 2^-26, so differences
    below about 1e-8 may become ties.
    """
    everyone = whole(unit(float64(references)))

    def mean_of_nearest(block: np.ndarray) -> np.ndarray:
        similarity = whole(unit(block)) @ everyone.T  # times 2^52, exact
        columns = []
        for k in neighbours:
            last = np.partition(similarity, -k, axis=1)[:, -k, None]
            nearer, tied = similarity > last, similarity == last
            shared = np.where(tied, score, 0).sum(axis=1) / tied.sum(axis=1) * (k - nearer.sum(axis=1))
            columns.append((np.where(nearer, score, 0).sum(axis=1) + shared) / k)
        return np.stack(columns, axis=1)

    return over_rows(mean_of_nearest, u, size=_ROWS)


@register("knn", NearestNeighbours)
def knn(train: Observations, val: Observations, context: Context) -> Fitted:
    """At most 8,192 references; k is the one of 1, 3, 5, 10, 20, 50 with the least squared error on validation.

    Among equally good k the largest wins; without labeled validation observations k is 10.
    """
    known, judge = labeled(train, context.score_name), val.labeled_only()
    chosen = draw(len(known), MOST)
    references, score = known.u[chosen], known.score[chosen].astype(np.float64)
    k = min(DEFAULT, len(chosen))
    if len(judge):
        possible = tuple(k for k in NEIGHBOURS if k <= len(chosen))[::-1]
        found = nearest_scores(judge.u, references, score, possible)
        k = possible[int(np.argmin(np.square(found - judge.score[:, None]).sum(axis=0)))]
    described = count_observations(len(chosen), context.config.pairs, of=len(known))
    return Fitted(NearestNeighbours("knn", True, k, references, score), described)
