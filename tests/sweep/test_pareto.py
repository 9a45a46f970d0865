"""The front against the definition, point by point."""

from hypothesis import given
from hypothesis import strategies as st

from learner_jax.sweep.pareto import front

NUMBERS = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12))
def test_no_point_of_it_is_beaten_and_every_other_is(points):
    kept = front(points)
    for at, (cost, score) in enumerate(points):
        beaten = any((c <= cost and s > score) or (c < cost and s >= score) for c, s in points)
        assert (at not in kept) == beaten
    assert [points[at][0] for at in kept] == sorted(points[at][0] for at in kept)
