"""Counted pairs against loops over all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learner_jax.evaluators.concordance import ordered_alike, smaller_before, ties


@given(values=st.lists(st.integers(0, 6), max_size=40))
def test_smaller_entries_before_each(values):
    expected = [sum(other < value for other in values[:i]) for i, value in enumerate(values)]
    np.testing.assert_array_equal(smaller_before(np.array(values, np.int64)), expected)


@given(entries=st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40))
def test_entries_on_the_same_side_and_equal_ones(entries):
    x, y, group = np.array(entries).T
    x, y = x / 3 - 0.5, y * 1e-3  # any numbers, not ranks alone
    side = np.sign(x[:, None] - x) * np.sign(y[:, None] - y) > 0
    np.testing.assert_array_equal(ordered_alike(x, y, group), (side & (group[:, None] == group)).sum(1))
    equal = (x[:, None] == x) & (y[:, None] == y)
    np.testing.assert_array_equal(ties(x, y), equal.sum(1))
    np.testing.assert_array_equal(ties(x, y, group), (equal & (group[:, None] == group)).sum(1))
