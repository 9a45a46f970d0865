"""Three-way change against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from learner_jax.evaluators.quantities.three_way import CELLS, confusion


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_scikit_learns(said, values, seed):
    one = said(seed=seed, patients=8, visits=3, views=1, noise=3.0)
    a, b = one.truth.change, one.change
    found = values(one, "three_way")
    expected = {
        "macro_f1": f1_score(a, b, average="macro"),
        "accuracy": accuracy_score(a, b),
        "balanced_accuracy": balanced_accuracy_score(a, b),
        "quadratic_kappa": cohen_kappa_score(a, b, weights="quadratic"),
        "accuracy_per_patient": np.mean([np.mean((a == b)[one.truth.patient == p]) for p in range(8)]),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    cells = [found["confusion", cell] for cell in CELLS]
    assert cells == confusion_matrix(a, b, labels=[-1, 0, 1]).ravel().tolist()


def test_a_draw_without_a_class_is_undefined_but_has_an_accuracy(said, values):
    one = said(seed=0, patients=6, visits=2, views=1)
    one.truth.change[:] = [-1, 0, 1, 1, 0, 1]
    one.change[:] = [-1, 0, 1, 0, 0, 1]
    found = values(one, "three_way", np.array([0, 2, 1, 1, 1, 1]))
    assert np.isnan(found["macro_f1"])
    assert np.isnan(found["balanced_accuracy"])
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert confusion(one.truth.change, one.change, one.truth.patient, 8).sum() == 6
