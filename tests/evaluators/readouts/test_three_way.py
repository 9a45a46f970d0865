"""Three-way classifiers against scikit-learn and a plain forward pass, and the pairs that they are trained on."""

import dataclasses

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from learner_jax.evaluators import readouts
from learner_jax.evaluators.change import true_change
from learner_jax.evaluators.pairs import fine_pairs
from learner_jax.evaluators.readouts import linear, mlp, training_pairs
from learner_jax.evaluators.readouts.decision import mean_nll


def differences(s, pairs):
    x = s.u[pairs.second].astype(float) - s.u[pairs.first]
    return x, true_change(s.score[pairs.first], s.score[pairs.second], 2.0)


def peer(penalty, x, change):
    """Multinomial logistic regression on each pair in both orders; scikit-learn's cost is their sum + |W|^2 / (2 C)."""
    both = np.concatenate([x, -x])
    model = LogisticRegression(C=1 / (2 * len(x) * penalty), tol=1e-9, max_iter=5000)
    return model.fit(both, np.concatenate([change, -change]))


def test_linear_is_scikit_learns_on_both_ends_and_its_penalty_the_best_on_validation(splits, context):
    train, val, test = splits(patients=20, skill=0.4)
    found = readouts.fit("linear", train, val, context())
    x, change = differences(train, fine_pairs(train, "visits", "all"))
    x_val, change_val = differences(val, fine_pairs(val, "visits", "all"))
    scale = np.sqrt(np.mean(x**2, axis=0))
    peers = {penalty: peer(penalty, x / scale, change) for penalty in linear.PENALTIES}
    same = peers[found.model.penalty]
    x_test = test.u[1:].astype(float) - test.u[:-1]
    probability = same.predict_proba(x_test / scale)
    found_logits = found.model.logits(test.u[:-1], test.u[1:])
    ours = np.exp(found_logits) / np.exp(found_logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, probability, atol=2e-5)
    np.testing.assert_allclose(found.delta(test.u[:-1], test.u[1:]), probability[:, 2] - probability[:, 0], atol=2e-5)
    cost = {p: mean_nll(model.predict_log_proba(x_val / scale), change_val) for p, model in peers.items()}
    assert found.model.penalty == min(cost, key=cost.get)
    assert found.fitted_on == "120 fine pairs of 20 training patients"


def test_mlp_is_a_plain_forward_pass_and_its_step_was_chosen_on_validation(splits, context):
    train, val, test = splits(patients=20, skill=0.4)
    found = readouts.fit("mlp", train, val, context())
    model = found.model

    def f(x):
        return np.maximum(x @ model.hidden_kernel + model.hidden_bias, 0) @ model.out_kernel + model.out_bias

    x = (test.u[1:].astype(float) - test.u[:-1]) / model.scale
    np.testing.assert_allclose(model.logits(test.u[:-1], test.u[1:]), (f(x) + f(-x)[:, ::-1]) / 2, atol=1e-6)
    pairs = fine_pairs(val, "visits", "all")
    truth = differences(val, pairs)[1]
    shares = np.array([np.mean(truth != 0) / 2, np.mean(truth == 0), np.mean(truth != 0) / 2])
    chosen = mean_nll(model.logits(val.u[pairs.first], val.u[pairs.second]), truth)
    assert chosen < mean_nll(np.log(shares)[None].repeat(len(truth), 0), truth)


def test_mlp_starts_alike_whatever_the_users_default_generator_is(splits, context):
    train, val, _ = splits()
    found = readouts.fit("mlp", train, val, context())
    mlp._train.clear_cache()
    with jax.default_prng_impl("rbg"):
        other = readouts.fit("mlp", train, val, context())
    np.testing.assert_array_equal(other.model.hidden_kernel, found.model.hidden_kernel)


def test_mlp_stops_before_it_knows_the_training_pairs_by_heart(splits, context, monkeypatch):
    train, val, _ = splits(dim=40, skill=0.2)
    judged = readouts.fit("mlp", train, val, context(40))
    monkeypatch.setattr(mlp, "STEPS_UNJUDGED", mlp.STEPS)
    last = readouts.fit("mlp", train, val.take(np.arange(0)), context(40))
    pairs = fine_pairs(val, "visits", "all")
    truth = differences(val, pairs)[1]
    chosen, after_all = (
        mean_nll(found.model.logits(val.u[pairs.first], val.u[pairs.second]), truth) for found in (judged, last)
    )
    assert chosen < 0.8 * after_all


def test_mlp_learns_what_no_line_can(context, splits, config):
    """Whether a pair is stable depends on the size of a dimension that does not affect its direction."""

    def make(s, seed):
        rng = np.random.default_rng(seed)
        s.u[:] = rng.normal(size=s.u.shape)
        loud = (s.visit == 1) & (rng.random(len(s)) < 0.5)
        s.u[:, 1] = np.where(loud, 3, 0)
        s.score[:] = np.where(loud, 5 * np.sign(s.u[:, 0]), 0)
        s.u[s.visit == 0, 0] = 0
        return s

    train, val, test = (make(s, i) for i, s in enumerate(splits(patients=200, visits=2)))
    pairs = fine_pairs(test, "visits", "all")
    truth = differences(test, pairs)[1]
    right = {
        name: np.mean(
            readouts.fit(name, train, val, context()).change(test.u[pairs.first], test.u[pairs.second]) == truth
        )
        for name in ("linear", "mlp")
    }
    assert right["mlp"] > 0.9 > right["linear"] + 0.1


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_coarse_pairs_stand_in_where_no_patient_was_seen_twice(name, splits, context):
    train, val, test = splits(patients=30)
    train = train.take(np.flatnonzero(train.visit == 0))
    found = readouts.fit(name, train, val, context())
    assert found.fitted_on == (
        "435 coarse pairs of training patients: no training patient has two visits with the score"
    )
    pairs = fine_pairs(test, "visits", "all")
    moved = test.score[pairs.second] != test.score[pairs.first]
    delta = found.delta(test.u[pairs.first], test.u[pairs.second])
    agrees = np.sign(delta) == np.sign(test.score[pairs.second] - test.score[pairs.first])
    assert agrees[moved].mean() > 0.8


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_one_kind_of_change_in_training_is_said_and_never_called(name, splits, context):
    train, val, test = splits()
    for threshold, sentence in ((0.0, "no training pair is stable"), (100.0, "all training pairs are stable")):
        config = dataclasses.replace(context().config, change_threshold=threshold)
        s = dataclasses.replace(train, score=train.score + np.arange(len(train), dtype=np.float32) / 1000)
        found = readouts.fit(name, s, val, context(config=config))
        assert sentence in found.warning
        change = found.change(test.u[:-1], test.u[1:])
        assert (change == 0).all() if threshold else (change != 0).mean() > 0.9
    assert readouts.fit(name, train, val, context()).warning == ""


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_visits_of_one_patient_in_scan_mode_leave_nothing_to_train_on(name, splits, context, config):
    train, val, _ = splits(mode="scans", views=1, patients=1)
    found = readouts.fit(name, train, val, context(config=dataclasses.replace(config, pairs="scans")))
    assert found == f"{name}: training holds neither fine nor coarse pairs"


def test_of_many_fine_pairs_some_are_drawn(splits, context, monkeypatch):
    monkeypatch.setattr(training_pairs, "MOST_FINE", 50)
    train, val, _ = splits()
    assert readouts.fit("linear", train, val, context()).fitted_on == "50 of 72 fine pairs of 12 training patients"


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_constant_dimensions_are_not_looked_at(name, splits, context):
    train, val, test = splits()
    for s in (train, val):
        s.u[:, 2] = 0.7 + 1e-8
    found = readouts.fit(name, train, val, context())
    before = found.delta(test.u[:-1], test.u[1:])
    test.u[:, 2] += 5 * np.random.default_rng(0).normal(size=len(test)).astype(np.float32)
    np.testing.assert_allclose(found.delta(test.u[:-1], test.u[1:]), before, atol=1e-7)
