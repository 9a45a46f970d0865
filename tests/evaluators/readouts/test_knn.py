"""Nearest neighbours against scikit-learn; ties, and k as chosen on validation."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from learner_jax.evaluators import readouts
from learner_jax.evaluators.readouts import knn
from learner_jax.evaluators.readouts.knn import nearest_scores


def peer(k, u, score):
    return KNeighborsRegressor(k, metric="cosine", algorithm="brute").fit(u.astype(float), score)


def test_scores_are_scikit_learns_and_k_the_best_on_validation(splits, context):
    train, val, test = splits(patients=20, unlabeled=0.2)
    found = readouts.fit("knn", train, val, context())
    known, judge = (s.take(np.flatnonzero(s.labeled)) for s in (train, val))
    k = found.model.k
    np.testing.assert_allclose(found.scores(test.u), peer(k, known.u, known.score).predict(test.u.astype(float)))
    errors = {
        k: np.sum((peer(k, known.u, known.score).predict(judge.u.astype(float)) - judge.score) ** 2)
        for k in (1, 3, 5, 10, 20, 50)
    }
    assert k == min(errors, key=errors.get)
    assert found.fitted_on == f"{len(known)} training visits"


def test_references_that_tie_share_the_last_places():
    references = np.array([[1, 0], [2, 0], [3, 0], [1, 1]], np.float32)
    score = np.array([1.0, 2.0, 6.0, 100.0])
    found = nearest_scores(np.array([[5, 0], [1, 2]], np.float32), references, score, (1, 2, 4))
    np.testing.assert_allclose(found, [[3, 3, 109 / 4], [100, 103 / 2, 109 / 4]])
    mixed = np.array([2, 3, 1, 0])
    again = nearest_scores(np.array([[5, 0], [1, 2]], np.float32), references[mixed], score[mixed], (1, 2, 4))
    np.testing.assert_array_equal(again, found)


def test_equal_references_tie_wherever_they_lie():
    """A plain matrix product may round equal rows differently, and then chance would decide which are nearest."""
    rng = np.random.default_rng(0)
    once, u = rng.normal(size=(2, 41, 300)).astype(np.float32)
    score = rng.integers(0, 100, 123).astype(float)
    mixed = rng.permutation(123)
    found = nearest_scores(u, np.tile(once, (3, 1))[mixed], score[mixed], (1, 2))
    np.testing.assert_allclose(found, peer(1, once, score.reshape(3, 41).mean(axis=0)).predict(u)[:, None].repeat(2, 1))


@pytest.mark.parametrize(("labeled", "k"), [(48, 10), (4, 4)])
def test_without_validation_k_is_10_or_all(splits, context, labeled, k):
    train, val, _ = splits()
    train.score[labeled:] = np.nan
    val.score[:] = np.nan
    assert readouts.fit("knn", train, val, context()).model.k == k


def test_of_many_training_visits_some_are_drawn(splits, context, monkeypatch):
    monkeypatch.setattr(knn, "MOST", 30)
    train, val, _ = splits()
    found = readouts.fit("knn", train, val, context())
    assert found.model.references.shape == (30, 6)
    assert found.fitted_on == "30 of 48 training visits"
    rows = {tuple(row): score for row, score in zip(train.u.tolist(), train.score, strict=True)}
    assert [rows[tuple(row)] for row in found.model.references.tolist()] == found.model.reference_scores.tolist()
