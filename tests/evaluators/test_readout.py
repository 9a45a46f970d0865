"""The ridge against scikit-learn; what it refuses and what it says when an encoder has collapsed."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from learner_jax.evaluators import readout
from learner_jax.evaluators.change import change_class, true_change
from learner_jax.evaluators.pairs import fine_pairs
from learner_jax.evaluators.readout import Readout, fit
from tfds_builders.errors import InputError


def peer(penalty, train):
    known = train.take(np.flatnonzero(train.labeled))
    return make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(known.u.astype(float), known.score)


@pytest.mark.parametrize(("dim", "unlabeled"), [(6, 0.0), (6, 0.7), (300, 0.0)], ids=["plain", "unlabeled", "wide"])
def test_ridge_is_scikit_learns_and_its_penalty_the_best_on_validation(splits, config, dim, unlabeled):
    train, val, test = splits(dim=dim, unlabeled=unlabeled)
    found = fit(train, val, config, "sf_ratio")
    n = int(train.labeled.sum())
    same = peer(found.penalty, train)
    np.testing.assert_allclose(found.coef, same[-1].coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.predict(test.u), same.predict(test.u.astype(float)), rtol=1e-7)
    known = val.take(np.flatnonzero(val.labeled))

    def error(penalty):
        return np.mean((peer(penalty, train).predict(known.u.astype(float)) - known.score) ** 2)

    assert error(found.penalty) == pytest.approx(min(error(n * p) for p in np.logspace(-4, 4, 25)), rel=1e-6)


def test_without_labeled_validation_the_penalty_is_by_generalised_cross_validation(splits, config):
    train, val, _ = splits(skill=0.3)
    val.score[:] = np.nan
    found = fit(train, val, config, "sf_ratio")
    x = StandardScaler().fit_transform(train.u.astype(float))
    y, n = train.score.astype(float), len(train)

    def gcv(penalty):
        centred = x.T @ x + penalty * np.eye(x.shape[1])
        hat = x @ np.linalg.solve(centred, x.T) + 1 / n
        return n * np.sum((y - hat @ y) ** 2) / (n - np.trace(hat)) ** 2

    best = min(np.logspace(-4, 4, 25), key=lambda p: gcv(n * p))
    assert found.penalty == pytest.approx(n * best)
    assert found.threshold == config.change_threshold
    assert found.threshold_source == "config.eval.change_threshold: no fine pairs in validation"


def test_threshold_has_the_best_macro_f1_on_validation_pairs(splits, config):
    train, val, _ = splits(patients=20)
    found = fit(train, val, config, "sf_ratio")
    pairs = fine_pairs(val, "visits", "all")
    truth = true_change(val.score[pairs.first], val.score[pairs.second], 2.0)
    delta = found.predict(val.u[pairs.second]) - found.predict(val.u[pairs.first])

    def f1(threshold):
        return f1_score(truth, change_class(delta, threshold), average="macro")

    assert f1(found.threshold) == pytest.approx(max(f1(t) for t in np.abs(delta)), abs=1e-9)
    assert found.threshold_source == "highest macro-F1 on 120 validation fine pairs"


def test_order_of_observations_changes_no_bit(splits, config):
    train, val, test = splits(unlabeled=0.2)
    mixed = [s.take(np.random.default_rng(0).permutation(len(s))) for s in (train, val)]
    a, b = fit(train, val, config, "x"), fit(*mixed, config, "x")
    np.testing.assert_array_equal(a.predict(test.u), b.predict(test.u))
    assert a.threshold == b.threshold
    np.testing.assert_array_equal(a.predict(test.u)[5:6], a.predict(test.u[5:6]))


def test_difference_is_antisymmetric_and_zero_for_equal_embeddings(splits, config):
    train, val, test = splits(dim=64)
    found = fit(train, val, config, "x")
    same = found.predict(np.repeat(test.u[:1], 37, axis=0))
    assert (same == same[0]).all()
    forth = found.predict(test.u[1:]) - found.predict(test.u[:-1])
    back = found.predict(test.u[:-1]) - found.predict(test.u[1:])
    np.testing.assert_array_equal(forth, -back)


def test_constant_dimensions_are_dropped(splits, config):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:, 2] = 0.7 + 1e-8
        s.u[:, 3] = 0
    found = fit(train, val, config, "x")
    assert found.coef[2] == found.coef[3] == 0
    assert found.coef[0] != 0
    np.testing.assert_allclose(
        found.predict(test.u), peer(found.penalty, train).predict(test.u.astype(float)), rtol=1e-5
    )


def test_collapsed_embeddings_predict_the_mean_with_a_warning(splits, config):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:] = 0.1
    found = fit(train, val, config, "sf_ratio")
    assert (found.coef == 0).all()
    np.testing.assert_allclose(found.predict(test.u), train.score.mean(), rtol=1e-6)
    assert "all 48 training embeddings are equal (collapsed)" in found.warning
    assert "mean sf_ratio" in found.warning


def test_faults_are_sentences(splits, config):
    train, val, _ = splits()
    with pytest.raises(InputError, match=r"--config\.eval\.change_threshold=…"):
        fit(train, val, dataclasses.replace(config, change_threshold=None), "mmse")
    broken = dataclasses.replace(train, u=np.where(np.arange(len(train))[:, None] == 3, np.nan, train.u))
    with pytest.raises(
        InputError, match="1 of 48 training embeddings hold NaN or infinity, first that of cohort row 6"
    ):
        fit(broken, val, config, "mmse")
    with pytest.raises(InputError, match="1 of 48 validation embeddings"):
        fit(train, broken, config, "mmse")
    with pytest.raises(InputError, match="all 48 training observations have mmse = 3, so no read-out"):
        fit(dataclasses.replace(train, score=np.full(48, 3, np.float32)), val, config, "mmse")
    few = np.where(np.arange(48) == 5, 1, np.nan).astype(np.float32)
    with pytest.raises(InputError, match="1 of 48 training observations carry 'mmse'; a read-out needs at least 2"):
        fit(dataclasses.replace(train, score=few), val, config, "mmse")


def test_written_and_read_to_the_bit(splits, config, tmp_path):
    train, val, test = splits()
    found = dataclasses.replace(
        fit(train, val, config, "sf_ratio"), spec={"views": ["left", "right"], "data": "d41d8c"}
    )
    found.write(tmp_path / "eval" / "100")
    again = Readout.read(tmp_path / "eval" / "100")
    for field in dataclasses.fields(Readout):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(found, field.name))
    np.testing.assert_array_equal(again.predict(test.u), found.predict(test.u))
    with pytest.raises(InputError, match="takes embeddings of width 6 and got 5"):
        again.predict(test.u[:, :5])
    (tmp_path / "eval" / "100" / "readout.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match="holds no complete read-out"):
        Readout.read(tmp_path / "eval" / "100")


def test_chunks_of_rows_change_nothing(splits, config, monkeypatch):
    train, val, test = splits()
    found = fit(train, val, config, "x")
    whole = found.predict(test.u)
    monkeypatch.setattr(readout, "_ROWS", 7)
    np.testing.assert_array_equal(found.predict(test.u), whole)
