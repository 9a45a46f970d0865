"""Probabilities against scikit-learn and a loop over bins."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from learner_jax.evaluators.names import WORDS


def test_auroc_brier_and_log_loss(said, values):
    one = said(seed=2, patients=20, visits=4, views=1)
    true, p = one.truth.change + 1, one.probability
    found = values(one, "probability") | values(one, "class_auroc")
    for c, word in enumerate(WORDS):
        assert found["class_auroc", word] == pytest.approx(roc_auc_score(true == c, p[:, c]), abs=1e-6)
    assert found["brier"] == pytest.approx(np.mean(np.sum((p - np.eye(3)[true]) ** 2, axis=1)), rel=1e-6)
    p = np.maximum(p, 1e-7)
    expected = -np.log(p[np.arange(len(p)), true]).mean()
    assert found["log_loss"] == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(log_loss(true, p / p.sum(1, keepdims=True)), rel=1e-4)


def test_calibration_error_is_the_loop_over_bins_of_equally_many(said, values):
    one = said(seed=2, patients=20, visits=4, views=1)
    one.probability[:] = np.random.default_rng(0).dirichlet([1, 1, 1], len(one.probability))  # no ties
    confidence, right = one.probability.max(1), one.probability.argmax(1) == one.truth.change + 1
    order = np.argsort(confidence)
    error = sum(abs(confidence[part].sum() - right[part].sum()) for part in np.array_split(order, 10))
    assert values(one, "probability")["adaptive_ece"] == pytest.approx(error / len(order), abs=1e-6)


def test_the_truth_as_probability_is_perfect(said, values):
    one = said(seed=2, patients=20, visits=4, views=1)
    one.probability[:] = np.eye(3)[one.truth.change + 1]
    found = values(one, "probability") | values(one, "class_auroc")
    assert found["brier"] == found["adaptive_ece"] == 0
    assert all(found["class_auroc", word] == 1 for word in WORDS)
