"""Ridge regression against scikit-learn; many targets at once; its cost, and its warning about a collapsed encoder."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from learner_jax.evaluators import readouts
from learner_jax.evaluators.change import change_class, true_change
from learner_jax.evaluators.pairs import Observations, fine_pairs
from learner_jax.evaluators.readouts.ridge import Ridges


def peer(penalty, train):
    known = train.take(np.flatnonzero(train.labeled))
    return make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(known.u.astype(float), known.score)


@pytest.mark.parametrize(("dim", "unlabeled"), [(6, 0.0), (6, 0.7), (300, 0.0)], ids=["plain", "unlabeled", "wide"])
def test_ridge_is_scikit_learns_and_its_penalty_the_best_on_validation(splits, context, dim, unlabeled):
    train, val, test = splits(dim=dim, unlabeled=unlabeled)
    found = readouts.fit("ridge", train, val, context(dim))
    n = int(train.labeled.sum())
    model = found.model
    same = peer(model.penalty, train)
    np.testing.assert_allclose(model.coef, same[-1].coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.scores(test.u), same.predict(test.u.astype(float)), rtol=1e-7)
    known = val.take(np.flatnonzero(val.labeled))

    def error(penalty):
        return np.mean((peer(penalty, train).predict(known.u.astype(float)) - known.score) ** 2)

    assert error(model.penalty) == pytest.approx(min(error(n * p) for p in np.logspace(-4, 4, 25)), rel=1e-6)
    assert found.fitted_on == f"{n} training visits"


@pytest.mark.parametrize("dim", [6, 100], ids=["tall", "wide"])
def test_without_labeled_validation_the_penalty_is_by_generalised_cross_validation(splits, context, dim):
    train, val, _ = splits(skill=0.3, dim=dim)
    val.score[:] = np.nan
    found = readouts.fit("ridge", train, val, context(dim))
    x = StandardScaler().fit_transform(train.u.astype(float))
    y, n = train.score.astype(float), len(train)

    def gcv(penalty):
        centred = x.T @ x + penalty * np.eye(x.shape[1])
        hat = x @ np.linalg.solve(centred, x.T) + 1 / n
        return n * np.sum((y - hat @ y) ** 2) / (n - np.trace(hat)) ** 2

    best = min(np.logspace(-4, 4, 25), key=lambda p: gcv(n * p))
    assert found.model.penalty == pytest.approx(n * best)


@pytest.mark.parametrize("judged", [True, False])
def test_many_targets_are_each_solved_as_if_alone(splits, judged):
    train, val, test = splits(dim=9)
    rng = np.random.default_rng(0)
    y, y_val = (np.stack([rng.permutation(s.score) for _ in range(4)] + [s.score], axis=1) for s in (train, val))
    ridges = Ridges.from_embeddings(train.u)
    together = ridges.fit_many(y, (val.u, y_val) if judged else None)
    for j, model in enumerate(together):
        alone = ridges.fit(y[:, j], (val.u, y_val[:, j]) if judged else None)
        assert model.penalty == alone.penalty
        np.testing.assert_allclose(model.scores(test.u), alone.scores(test.u), rtol=1e-10)
    assert len({model.penalty for model in together}) > 1


def test_threshold_has_the_best_macro_f1_on_validation_pairs(splits, context):
    train, val, _ = splits(patients=20)
    found = readouts.fit("ridge", train, val, context())
    pairs = fine_pairs(val, "visits", "all")
    truth = true_change(val.score[pairs.first], val.score[pairs.second], 2.0)
    delta = found.delta(val.u[pairs.first], val.u[pairs.second])

    def f1(threshold):
        return f1_score(truth, change_class(delta, threshold), average="macro")

    assert f1(found.decision.threshold) == pytest.approx(max(f1(t) for t in np.abs(delta)), abs=1e-9)
    assert found.decision.threshold_source == "highest macro-F1 on 120 validation fine pairs"
    np.testing.assert_array_equal(
        found.change(val.u[pairs.first], val.u[pairs.second]), change_class(delta, found.decision.threshold)
    )


def test_constant_dimensions_are_dropped(splits, context):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:, 2] = 0.7 + 1e-8
        s.u[:, 3] = 0
    found = readouts.fit("ridge", train, val, context())
    coef = found.model.coef
    assert coef[2] == coef[3] == 0
    assert coef[0] != 0
    expected = peer(found.model.penalty, train).predict(test.u.astype(float))
    np.testing.assert_allclose(found.scores(test.u), expected, rtol=1e-5)


def test_collapsed_embeddings_predict_the_mean_with_a_warning(splits, context):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:] = 0.1
    found = readouts.fit("ridge", train, val, context())
    assert (found.model.coef == 0).all()
    np.testing.assert_allclose(found.scores(test.u), train.score.mean(), rtol=1e-6)
    assert "all 48 training embeddings are equal (collapsed)" in found.warning
    assert "mean sf_ratio" in found.warning


def test_no_float64_copy_of_the_embeddings(context):
    n, d = 20_000, 256
    rng = np.random.default_rng(0)
    u, score = rng.standard_normal((n, d), dtype=np.float32), rng.standard_normal(n, dtype=np.float32)
    number = np.arange(n)
    rows = tuple((i,) for i in range(n))
    many = Observations(u, score, number // 2, number % 2, (number % 2).astype(np.float32), 0 * number - 1, rows)
    val = many.take(np.arange(10))
    tracemalloc.start()
    ridges = Ridges.from_embeddings(many.u)
    ridges.fit(score)
    alone = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    found = readouts.fit("ridge", many, val, context(d, heads={}))
    found.scores(u)
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert alone < u.nbytes  # a float64 copy would be twice this
    assert whole < 2 * u.nbytes  # the sorted float32 copy, and blocks


def test_scans_are_called_scans(splits, context, config):
    train, val, _ = splits(mode="scans")
    found = readouts.fit("ridge", train, val, context(config=dataclasses.replace(config, pairs="scans")))
    assert found.fitted_on == "96 training scans"
    assert found.pairs == "scans"
