"""A whole evaluation: every section, under shuffling, and with little or nothing to score."""

import dataclasses

import numpy as np
import pytest

from learner_jax.evaluators.evaluation import chosen_readouts, fit_readouts, score
from learner_jax.evaluators.floors import first_visit, majority
from learner_jax.evaluators.names import PRIMARY
from learner_jax.evaluators.predictions import Predictions, Truth
from learner_jax.evaluators.readouts import Context
from learner_jax.evaluators.scoring import draws, estimate
from tfds_builders.errors import InputError


def context(config, heads=None):
    return Context(config, "sf_ratio", heads or {}, 3.5, 2.0, "mse")


def named(rows) -> dict:
    return {(row.name, row.at) if row.at else row.name: row for row in rows}


@pytest.fixture
def fitted(config):
    def fit(splits, names=(), heads=None):
        train, val, test = splits
        return fit_readouts(list(names), train, val, context(config, heads), {}), test

    return fit


@pytest.fixture
def scored(splits, config, fitted):
    fitting, test = fitted(splits(patients=35, unlabeled=0.1, skill=0.6))
    return fitting, test, score(fitting, test, config)


def test_every_quantity_of_the_primary_readout_has_an_interval(scored):
    rows = scored[2].sections[PRIMARY]
    assert len(rows) > 40
    for row in rows:
        assert row.value is not None, row
        if row.note.startswith("every resample gives this value"):
            assert (row.low, row.high) == (None, None), "a point is no interval"
            continue
        assert row.low <= row.value <= row.high, row
        assert ("fewer than 30" in row.note) == (row.n_patients < 30), "who contribute are counted"
        assert row.n_patients > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_order_of_observations_changes_no_number(scored, config, seed):
    fitting, test, evaluation = scored
    mixed = test.take(np.random.default_rng(seed).permutation(len(test)))
    assert score(fitting, mixed, config).sections == evaluation.sections


def test_every_readout_is_scored_and_the_others_say_why_not(splits, config, fitted):
    kernel = np.eye(6, 1, dtype=np.float32)
    heads = {"difference": {"kernel": kernel}, "davidson": {"kernel": kernel, "log_tie": np.float32(0.5)}}
    fitting, test = fitted(splits(patients=20), chosen_readouts("all"), heads)
    sections = score(fitting, test, config).sections
    assert set(sections) == {"ridge", "davidson", "knn", "lilac", "linear", "mlp", "reference"}
    assert {"lilac_order", "score_head"} <= set(fitting.notes)
    for name, rows in sections.items():
        values = named(rows)
        assert values["swap_consistency"].value == pytest.approx(1, abs=0.05), name
        assert values["self_pair_false_change"].value == 0, name
        assert ("delta_mae" in values) == (name in ("ridge", "knn", "lilac"))
        assert ("score_mae" in values) == (name in ("ridge", "knn", "lilac")), name
    assert named(sections["linear"])["macro_f1"].value > 0.4


def test_an_unknown_readout_is_a_sentence():
    assert chosen_readouts("none") == []
    assert chosen_readouts("knn, mlp") == ["knn", "mlp"]
    with pytest.raises(InputError, match=r"config\.eval\.readouts names 'kn'; did you mean 'knn'"):
        chosen_readouts("kn")


def test_shuffled_labels_score_like_a_coin(splits, config, fitted):
    fitting, test = fitted(splits(patients=35, skill=2.0))
    assert named(score(fitting, test, config).sections[PRIMARY])["pairwise_accuracy"].value > 0.9
    shuffled = dataclasses.replace(test, score=np.random.default_rng(0).permutation(test.score))
    rows = named(score(fitting, shuffled, config).sections[PRIMARY])
    for name in ("pairwise_accuracy", "direction_auroc", "c_index", "coarse_c_index"):
        assert rows[name].low < 0.5 < rows[name].high, name
    for name in ("kendall_tau_b", "rm_correlation", "quadratic_kappa", "delta_pearson", "delta_spearman"):
        assert rows[name].low < 0 < rows[name].high, name


def test_without_fine_pairs_there_are_coarse_rows_and_a_sentence(splits, config, fitted):
    fitting, test = fitted(splits(patients=5, visits=1, views=2))
    evaluation = score(fitting, test, config)
    assert set(named(evaluation.sections[PRIMARY])) == {"coarse_c_index", "score_mae", "score_r2", "score_spearman"}
    assert evaluation.notes["fine_pairs"] == "no fine pairs: 5 patients, 1 visit each"
    assert "5 patients: with fewer than 30" in evaluation.sections[PRIMARY][0].note


def test_scans_pair_within_a_visit_only(splits, config, fitted):
    config.pairs = "scans"
    train, val, test = splits(mode="scans", patients=6, visits=2, views=3)
    test.score[:] = np.arange(len(test))  # of each visit another score per scan
    fitting, _ = fitted((train, val, test))
    evaluation = score(fitting, test, config)
    truth = evaluation.predictions.truth
    assert (truth.observations.visit[truth.first] == truth.observations.visit[truth.second]).all()
    assert len(truth) == 6 * 2 * 3
    rows = named(evaluation.sections[PRIMARY])
    assert rows["kendall_tau_b"].n_pairs == 36
    assert "null_trend" not in rows, "scans of one visit have no time"


def test_consecutive_pairs_leave_tau_on_all_visits(splits, config, fitted):
    config.order = "consecutive"
    fitting, test = fitted(splits(patients=10))
    rows = named(score(fitting, test, config).sections[PRIMARY])
    assert rows["macro_f1"].n_pairs == 10 * 3
    assert rows["kendall_tau_b"].n_pairs == 10 * 6


def test_collapse_ties_everything_and_leaves_no_nan(splits, config, fitted):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:] = 0.1
    fitting, _ = fitted((train, val, test), chosen_readouts("all"))
    evaluation = score(fitting, test, config)
    rows = named(evaluation.sections[PRIMARY])
    assert rows["pairwise_accuracy"].value == rows["coarse_c_index"].value == 0.5
    assert rows["kendall_tau_b"].value == 0
    assert (evaluation.predictions.distance == 0).all()
    assert (evaluation.predictions.change == 0).all()
    for name in ("score_spearman", "rm_correlation", "delta_pearson"):
        assert rows[name].value is None
        assert rows[name].note.startswith("undefined: ")
    assert "collapsed" in evaluation.notes[PRIMARY]
    finite = [x for part in evaluation.sections.values() for row in part for x in (row.value, row.low, row.high)]
    assert all(x is None or np.isfinite(x) for x in finite)


def test_no_labels_one_patient_and_broken_embeddings(splits, config, fitted):
    fitting, test = fitted(splits())
    nothing = score(fitting, dataclasses.replace(test, score=np.full(len(test), np.nan, np.float32)), config)
    assert nothing.sections == {PRIMARY: []}
    assert nothing.notes["fine_pairs"] == "no fine pairs: 12 patients, 4 visits each, 0 of 48 labeled"
    assert nothing.notes["scores"] == "no test observation carries the score, so there is nothing to score"
    one = named(score(fitting, test.take(np.flatnonzero(test.patient == 2000)), config).sections[PRIMARY])
    assert one["pairwise_accuracy"].value is not None
    assert one["pairwise_accuracy"].low is None
    assert one["coarse_c_index"].value is None
    still = dataclasses.replace(test, score=np.full(len(test), 4, np.float32))
    rows = named(score(fitting, still, config).sections[PRIMARY])
    assert rows["pairwise_accuracy"].note == "undefined: no fine pair differs in its score"
    assert rows["kendall_tau_b"].note == "undefined: no patient has two different scores"
    assert rows["coarse_c_index"].note == "undefined: no two patients differ in their score"
    assert rows["null_false_change"].n_patients == 12, "all patients are null controls"
    broken = dataclasses.replace(test, u=np.full_like(test.u, np.inf))
    with pytest.raises(InputError, match="48 of 48 test embeddings"):
        score(fitting, broken, config)


def test_a_class_that_no_test_pair_has_is_no_nan(splits, config, fitted):
    fitting, test = fitted(splits(patients=35))
    test.score[:] = test.visit * 3.0  # everybody rises by more than the threshold
    rows = named(score(fitting, test, config).sections[PRIMARY])
    assert rows["direction_auroc"].value is None
    assert rows["direction_auroc"].note == "undefined: no pair rises, or none falls, by more than the threshold"
    assert rows["class_auroc", "increased"].value is None
    assert rows["accuracy"].value is not None


def floor(made: Predictions, config) -> dict:
    return {f.name: f.replicates.value for f in estimate(made, draws(made.truth.n_patients, config)) if not f.at}


def truths(splits, config, **kwargs):
    train, val, test = splits(**kwargs)
    return train, *(Truth.of(part, "visits", "all", config.change_threshold) for part in (val, test)), val, test


def test_majority_is_a_coin_for_order_and_one_class_for_change(splits, config):
    train, _, truth, val, test = truths(splits, config, patients=35)
    val.score[:] = val.visit * 3.0  # in validation all pairs go up
    made = majority(train, Truth.of(val, "visits", "all", 2.0), truth)
    rows = floor(made, config)
    assert (made.change == 1).all()
    assert rows["accuracy"] == pytest.approx(np.mean(truth.change == 1))
    assert rows["pairwise_accuracy"] == 0.5
    assert rows["direction_auroc"] == pytest.approx(0.5)
    assert rows["kendall_tau_b"] == 0
    assert rows["score_mae"] == pytest.approx(np.abs(test.score - train.score.mean(dtype=float)).mean(), rel=1e-5)
    val.score[:] = np.nan
    assert (majority(train, Truth.of(val, "visits", "all", 2.0), truth).change == 0).all()


def test_the_first_score_alone_orders_noise_by_regression_to_the_mean(splits, config):
    """Scores of visits are independent draws here, so a patient who starts low mostly rises."""
    train, val, truth, _, _ = truths(splits, config, patients=60)
    made = first_visit(train, val, truth)
    rows = floor(made, config)
    assert rows["pairwise_accuracy"] > 0.7
    away = train.score.mean(dtype=float) - truth.observations.score[truth.first]
    b = np.linalg.lstsq(
        (train.score.mean(dtype=float) - val.observations.score[val.first])[:, None], val.delta, rcond=None
    )[0]
    np.testing.assert_allclose(made.delta, b * away, rtol=1e-5)
    nothing = Truth.of(truth.observations.take(np.zeros(0, int)), "visits", "all", 2.0)
    np.testing.assert_allclose(first_visit(train, nothing, truth).delta, away, rtol=1e-6)
