"""Which arms no other arm beats in both score and cost."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices, sorted by cost, of the points ``(cost, score)`` on the Pareto front.

    A point is on it unless another one costs no more, scores no less, and differs in at least one of the two.
    """
    kept = [at for at, point in enumerate(points) if not any(_beats(other, point) for other in points)]
    return sorted(kept, key=lambda at: points[at])


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other
