"""The reference pool against loops over patients and pairs."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from learner_jax.evaluators import readouts


@pytest.mark.parametrize("patients", [20, 4], ids=["many", "fewer than the pool"])
def test_signed_distance_is_that_of_a_loop(splits, context, patients):
    train, val, test = splits(patients=patients, unlabeled=0.2)
    tied = np.random.default_rng(0).normal(0, 1e-3, len(train)).astype(np.float32)
    train = dataclasses.replace(train, score=train.score + tied)  # no ties, so that the pool has one reading
    found = readouts.fit("reference", train, val, context())
    ranked = sorted(np.flatnonzero(train.labeled), key=lambda i: -train.score[i])
    best = [next(i for i in ranked if train.patient[i] == p) for p in set(train.patient[ranked].tolist())]
    best = sorted(best, key=lambda i: -train.score[i])
    pool = (best + [i for i in ranked if i not in best])[:10]
    assert {tuple(row) for row in found.model.pool.tolist()} == {tuple(train.u[i].tolist()) for i in pool}
    severity = [np.median([cosine(u.astype(float), train.u[i].astype(float)) for i in pool]) for u in test.u]
    np.testing.assert_allclose(found.model.severity(test.u), severity, rtol=1e-6)
    first, second = np.arange(len(test) - 1), np.arange(1, len(test))
    expected = [
        cosine(test.u[i].astype(float), test.u[j].astype(float)) * np.sign(severity[i] - severity[j])
        for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(found.delta(test.u[first], test.u[second]), expected, rtol=1e-6)
    assert found.scores(test.u) is None
    known = int(train.labeled.sum())
    assert found.fitted_on == f"10 of {known} training visits: those with the highest sf_ratio"


def test_the_score_rises_towards_the_pool(splits, context):
    train, val, _ = splits()
    found = readouts.fit("reference", train, val, context())
    pool = found.model.pool.mean(axis=0, keepdims=True)
    away = pool + np.array([[-20, 5, 0, 0, 0, 0]], np.float32)
    assert found.delta(away, pool) > 0 > found.delta(pool, away)
