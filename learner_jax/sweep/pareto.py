"""Which arms no other arm beats in both score and cost."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points ``(cost, score)`` that no other is at most as dear as and better than, or cheaper than and
    at least as good as; by cost."""
    beats = lambda a, b: a[0] <= b[0] and a[1] >= b[1] and a != b  # noqa: E731
    kept = [at for at, point in enumerate(points) if not any(beats(other, point) for other in points)]
    return sorted(kept, key=lambda at: points[at])
