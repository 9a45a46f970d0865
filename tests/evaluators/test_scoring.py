"""A whole table: against scipy and scikit-learn, under shuffling, and where there is little or nothing to score."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import balanced_accuracy_score, f1_score

from learner_jax.evaluators.floors import majority_scores
from learner_jax.evaluators.readout import fit
from learner_jax.evaluators.scoring import COARSE, FINE, score
from tfds_builders.errors import InputError


def table(scores):
    return {row.name: row for row in scores.rows}


@pytest.fixture
def scored(splits, config):
    train, val, test = splits(patients=35, unlabeled=0.1, skill=0.6)
    readout = fit(train, val, config, "sf_ratio")
    return test, readout, score(test, readout, config, seed=0)


def test_values_are_those_of_scipy_and_scikit_learn(scored):
    test, readout, scores = scored
    rows, pairs = table(scores), scores.pairs
    assert tuple(rows) == (*FINE, *COARSE)
    np.testing.assert_array_equal(scores.predicted, readout.predict(test.u))
    np.testing.assert_allclose(pairs.predicted_delta, scores.predicted[pairs.second] - scores.predicted[pairs.first])
    assert (pairs.visit_1 < pairs.visit_2).all()
    assert (pairs.days > 0).all()
    np.testing.assert_array_equal(pairs.delta, pairs.score_2 - pairs.score_1)
    truth, guess = pairs.change, pairs.predicted_change
    moved = pairs.delta != 0
    known = test.labeled
    expected = {
        "pairwise_accuracy": np.mean(np.sign(pairs.delta) == np.sign(pairs.predicted_delta), where=moved),
        "macro_f1": f1_score(truth, guess, average="macro"),
        "accuracy": np.mean(truth == guess),
        "balanced_accuracy": balanced_accuracy_score(truth, guess),
        "embedding_distance_spearman": scipy.stats.spearmanr(pairs.distance, np.abs(pairs.delta)).statistic,
        "score_mae": np.abs(test.score - scores.predicted)[known].mean(),
        "score_spearman": scipy.stats.spearmanr(test.score[known], scores.predicted[known]).statistic,
    }
    for name, value in expected.items():
        assert rows[name].value == pytest.approx(value, abs=3e-6), name
    taus = []
    for p in np.unique(test.patient[known]):
        mine = known & (test.patient == p)
        if len(np.unique(test.score[mine])) > 1:
            taus.append(scipy.stats.kendalltau(test.score[mine], scores.predicted[mine]).statistic)
    assert rows["kendall_tau_b"].value == pytest.approx(np.mean(taus), abs=1e-6)
    assert rows["pairwise_accuracy"].n_pairs == moved.sum()
    assert rows["macro_f1"].n_pairs == len(pairs.delta)
    assert rows["score_mae"].n_pairs is None
    for row in scores.rows:
        assert row.low < row.value < row.high, row
        assert row.n_patients == 35
        assert row.note == ""


@pytest.mark.parametrize("seed", [0, 1])
def test_order_of_observations_changes_no_number(scored, config, seed):
    test, readout, scores = scored
    mixed = test.take(np.random.default_rng(seed).permutation(len(test)))
    assert score(mixed, readout, config, seed=0).rows == scores.rows


def test_seed_moves_the_interval_and_not_the_value(scored, config):
    test, readout, scores = scored
    again = score(test, readout, config, seed=1)
    assert [r.value for r in again.rows] == [r.value for r in scores.rows]
    assert [r.low for r in again.rows] != [r.low for r in scores.rows]


def test_shuffled_labels_score_like_a_coin(splits, config):
    train, val, test = splits(patients=35, skill=2.0)
    readout = fit(train, val, config, "x")
    assert table(score(test, readout, config, 0))["pairwise_accuracy"].value > 0.9
    shuffled = dataclasses.replace(test, score=np.random.default_rng(0).permutation(test.score))
    rows = table(score(shuffled, readout, config, 0))
    for name, chance in (
        ("pairwise_accuracy", 0.5),
        ("kendall_tau_b", 0),
        ("coarse_c_index", 0.5),
        ("score_spearman", 0),
    ):
        assert abs(rows[name].value - chance) < 0.15
        assert rows[name].low < chance < rows[name].high


def test_without_fine_pairs_there_are_coarse_rows_and_a_sentence(splits, config):
    train, val, test = splits(patients=5, visits=1, views=2)
    scores = score(test, fit(train, val, config, "x"), config, 0)
    assert tuple(table(scores)) == COARSE
    assert scores.note == "no fine pairs: 5 patients, 1 visit each"
    assert len(scores.pairs.delta) == 0
    assert "5 patients: with fewer than 30" in scores.rows[0].note


def test_scans_pair_within_a_visit_only(splits, config):
    scans = dataclasses.replace(config, pairs="scans")
    train, val, test = splits(mode="scans", patients=6, visits=2, views=3)
    test.score[:] = np.arange(len(test))  # of each visit another score per scan
    scores = score(test, fit(train, val, scans, "severity"), scans, 0)
    assert (scores.pairs.visit_1 == scores.pairs.visit_2).all()
    assert len(scores.pairs.delta) == 6 * 2 * 3
    assert table(scores)["kendall_tau_b"].n_pairs == 36


def test_consecutive_pairs_leave_tau_on_all_visits(splits, config):
    neighbours = dataclasses.replace(config, order="consecutive")
    train, val, test = splits(patients=10)
    rows = table(score(test, fit(train, val, neighbours, "x"), neighbours, 0))
    assert rows["macro_f1"].n_pairs == 10 * 3
    assert rows["kendall_tau_b"].n_pairs == 10 * 6


def test_collapse_ties_everything_and_leaves_no_nan(splits, config):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:] = 0.1
    scores = score(test, fit(train, val, config, "x"), config, 0)
    rows = table(scores)
    assert rows["pairwise_accuracy"].value == rows["coarse_c_index"].value == 0.5
    assert rows["kendall_tau_b"].value == 0
    assert (scores.pairs.distance == 0).all()
    assert (scores.pairs.predicted_change == 0).all()
    for name in ("embedding_distance_spearman", "score_spearman"):
        assert rows[name].value is None
        assert rows[name].note.startswith("undefined: all")
    assert "collapsed" in scores.note
    assert not any(isinstance(x, float) and np.isnan(x) for r in scores.rows for x in dataclasses.astuple(r))


def test_no_labels_one_patient_and_broken_embeddings(splits, config):
    train, val, test = splits()
    readout = fit(train, val, config, "x")
    unlabeled = dataclasses.replace(test, score=np.full(len(test), np.nan, np.float32))
    nothing = score(unlabeled, readout, config, 0)
    assert nothing.rows == ()
    assert nothing.note == (
        "no fine pairs: 12 patients, 4 visits each, 0 of 48 labeled; "
        "no test observation carries the score, so there is nothing to score"
    )
    one = table(score(test.take(np.flatnonzero(test.patient == 2000)), readout, config, 0))
    assert one["pairwise_accuracy"].value is not None
    assert one["pairwise_accuracy"].low is None
    assert one["coarse_c_index"].value is None
    still = dataclasses.replace(test, score=np.full(len(test), 4, np.float32))
    rows = table(score(still, readout, config, 0))
    assert rows["pairwise_accuracy"].note == "undefined: no fine pair differs in its score"
    assert rows["kendall_tau_b"].note == "undefined: no patient has two different scores"
    assert rows["coarse_c_index"].note == "undefined: no two patients differ in their score"
    broken = dataclasses.replace(test, u=np.full_like(test.u, np.inf))
    with pytest.raises(InputError, match="48 of 48 test embeddings"):
        score(broken, readout, config, 0)


def test_majority_is_a_coin_for_order_and_one_class_for_change(splits, config):
    train, val, test = splits(patients=35)
    val.score[:] = val.visit * 3.0  # in validation most pairs go up
    scores = majority_scores(train, val, test, config, 0)
    rows = table(scores)
    assert (scores.pairs.predicted_change == 1).all()
    assert rows["accuracy"].value == pytest.approx(np.mean(scores.pairs.change == 1))
    assert rows["pairwise_accuracy"].value == 0.5
    assert rows["kendall_tau_b"].value == 0
    assert rows["embedding_distance_spearman"].value is None
    assert rows["score_mae"].value == pytest.approx(np.abs(test.score - train.score.mean(dtype=float)).mean(), rel=1e-5)
    val.score[:] = np.nan
    assert (majority_scores(train, val, test, config, 0).pairs.predicted_change == 0).all()
