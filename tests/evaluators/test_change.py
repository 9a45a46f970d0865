"""Three-way change against scikit-learn and against trying every threshold."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from learner_jax.evaluators import change

_LABELS = st.lists(st.sampled_from(change.CLASSES), min_size=24, max_size=24)


@settings(max_examples=40, deadline=None)
@given(truth=_LABELS, predicted=_LABELS)
def test_scores_are_scikit_learns(truth, predicted):
    truth, predicted = np.array(truth, np.int32), np.array(predicted, np.int32)
    patient = np.arange(24, dtype=np.int32) % 5
    mask = np.arange(24) < 20
    matrices = change.confusion(truth, predicted, patient, mask, n_patients=8)
    a, b = truth[:20], predicted[:20]
    for p in range(5):
        expected = confusion_matrix(a[patient[:20] == p], b[patient[:20] == p], labels=change.CLASSES)
        np.testing.assert_array_equal(matrices[p], expected)
    found = change.change_scores(matrices, jnp.ones(8))
    assert float(found["macro_f1"]) == pytest.approx(f1_score(a, b, average="macro", zero_division=0), rel=1e-6)
    assert float(found["accuracy"]) == pytest.approx(accuracy_score(a, b), rel=1e-6)
    recalls = [np.mean(b[a == c] == c) for c in np.unique(a)]
    assert float(found["balanced_accuracy"]) == pytest.approx(np.mean(recalls), rel=1e-6)


def test_balanced_accuracy_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth, predicted = (rng.integers(-1, 2, 24).astype(np.int32) for _ in range(2))
    matrices = change.confusion(truth, predicted, np.zeros(24, np.int32), np.ones(24, bool), n_patients=8)
    found = change.change_scores(matrices, jnp.ones(8))["balanced_accuracy"]
    assert float(found) == pytest.approx(balanced_accuracy_score(truth, predicted), rel=1e-6)


def test_a_draw_without_a_class_is_undefined_but_has_an_accuracy():
    truth, predicted = np.array([-1, 0, 1, 1], np.int32), np.array([-1, 0, 1, 0], np.int32)
    matrices = change.confusion(truth, predicted, np.arange(4, dtype=np.int32), np.ones(4, bool), n_patients=4)
    found = change.change_scores(matrices, jnp.array([0.0, 2, 1, 1]))
    assert np.isnan(found["macro_f1"])
    assert np.isnan(found["balanced_accuracy"])
    assert float(found["accuracy"]) == 0.75


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
