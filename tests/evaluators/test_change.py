"""Three-way change against scikit-learn and against trying every threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_jax.evaluators import change


def test_classes_and_a_change_of_exactly_the_threshold():
    first = np.array([0.2, 10, 10, 10, 27], np.float32)
    second = np.array([0.3, 9, 11.5, 8.4, 24], np.float32)
    assert change.true_change(first[:1], second[:1], 0.1).tolist() == [0]  # 0.3 - 0.2 > 0.1 in float32
    assert change.true_change(first, second, 1.5).tolist() == [0, 0, 0, -1, -1]
    assert change.true_change(first[4:], second[4:], 3.0).tolist() == [0]
    swapped = change.true_change(second, first, 1.5)
    np.testing.assert_array_equal(swapped, -change.true_change(first, second, 1.5))


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(-9, 9), st.sampled_from(change.CLASSES)), min_size=1, max_size=25),
    near=st.integers(0, 12),
)
def test_threshold_is_the_best_of_all(pairs, near):
    predicted, truth = np.array([p for p, _ in pairs], float), np.array([c for _, c in pairs])

    def f1(threshold: float) -> float:
        guess = [0 if abs(p) <= threshold else int(np.sign(p)) for p in predicted]
        of_class = []
        for label in {*guess, *truth.tolist()}:
            hits = sum(a == b == label for a, b in zip(truth, guess, strict=True))
            of_class.append(2 * hits / (np.sum(truth == label) + guess.count(label)))
        return np.mean(of_class)

    found = change.fit_threshold(predicted, truth, float(near))
    best = max(f1(t) for t in np.arange(0.25, 20, 0.5))
    assert f1(found) == pytest.approx(best, abs=1e-9)
    edges = np.unique(np.append(np.abs(predicted), 0))
    middles = np.append((edges[1:] + edges[:-1]) / 2, max(1.5 * edges[-1], near))
    rivals = [t for t in middles if f1(t) > best - 1e-9]
    assert abs(found - near) == min(abs(t - near) for t in rivals)
