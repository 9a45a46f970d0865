"""Which arms no other arm beats in both score and cost."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices, sorted by cost, of the points ``(cost, score)`` on the Pareto front.

    A point is on it unless another one costs no more, scores no less, and differs in at least one of the two.
    """
    beats = lambda a, b: a[0] <= b[0] and a[1] >= b[1] and a != b  # noqa: E731
    kept = [at for at, point in enumerate(points) if not any(beats(other, point) for other in points)]
    return sorted(kept, key=lambda at: points[at])
