"""Each analysis against a plain computation, and its reason where it does not apply."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score

from learner_jax.evaluators.analyses import analyses
from learner_jax.evaluators.analyses.ceiling import noise_ceiling
from learner_jax.evaluators.change import change_class, fit_threshold, true_change
from learner_jax.evaluators.predictions import Truth, predict
from learner_jax.evaluators.quantities import coarse
from learner_jax.evaluators.subsets import estimate_with_late


def test_thresholds_decide_anew_at_each(case, ask):
    one = case(skill=0.6)
    found = ask("thresholds", one)
    labels = sorted({at for _, at in found}, key=float)
    assert "2" in labels
    assert len(labels) >= 4
    truth, val = one.truth, one.val_truth
    for at in labels:
        theta = float(at)
        seen = one.truth.observations.score
        change = true_change(seen[truth.first], seen[truth.second], theta)
        known = val.observations.score
        decided = fit_threshold(
            one.val_predictions.delta, true_change(known[val.first], known[val.second], theta), theta
        )
        expected = f1_score(change, change_class(one.predictions.delta, decided), average="macro")
        assert found["macro_f1", at] == pytest.approx(expected, abs=1e-6)
        assert found["prevalence_stable", at] == pytest.approx(np.mean(change == 0), abs=1e-6)
    prevalence = [found["prevalence_stable", at] for at in labels]
    assert prevalence == sorted(prevalence)


def test_subgroups_are_parts_of_the_pairs(case, ask):
    one = case(skill=0.6)
    one.config.late_from_days = 20.0
    found, truth = ask("subgroups", one), one.truth
    with_late = estimate_with_late(one.predictions, one.resampling, one.config, ["order"])
    found |= {(f.name, f.at): f.replicates.value for f in with_late if f.at}
    right = (1 + np.sign(truth.delta) * np.sign(one.predictions.delta)) / 2
    moved = truth.delta != 0

    def accuracy(which):
        return pytest.approx(right[which & moved].mean(), abs=1e-6)

    late = truth.observations.time_days[truth.first] >= 20
    assert found["pairwise_accuracy", "from day 20"] == accuracy(late)
    days = truth.days()
    low, high = np.quantile(days, [1 / 3, 2 / 3])
    assert found["pairwise_accuracy", "gap: lowest third"] == accuracy(days <= low)
    assert found["pairwise_accuracy", "gap: highest third"] == accuracy(days > high)
    row = np.array([rows[0] for rows in truth.observations.rows])
    north = one.site[row] == 0
    assert found["pairwise_accuracy", "site north"] == accuracy(north[truth.first] & north[truth.second])
    assert ("pairwise_accuracy", "first score: middle third") in found
    any_pairs_have = {"pairwise_accuracy", "pairwise_accuracy_per_patient", "kendall_tau_b"}
    assert {name for name, _ in found} == any_pairs_have


def test_thirds_are_of_the_pairs_that_are_scored(case, config):
    """Only neighbouring visits, whose gaps are shorter than those of all pairs."""
    config.order = "consecutive"
    found = analyses.get("subgroups")(case(skill=0.6))
    n = [one.n[1] for one in found if one.name == "pairwise_accuracy" and one.at.startswith("gap: ")]
    assert len(n) == 3
    assert max(n) - min(n) <= 5, n  # true ties are no pairs here


def test_scans_are_told_apart_by_view(case, ask):
    one = case(mode="scans", views=2, clips=2, visits=2)
    one.truth.observations.score[:] = np.random.default_rng(0).integers(0, 5, len(one.truth.observations))
    one = dataclasses.replace(one, truth=Truth.of(one.truth.observations, "scans", "all", 2.0))
    one = dataclasses.replace(one, predictions=predict(one.readout, one.truth))
    found = ask("subgroups", one)
    assert {at for _, at in found} >= {"view left", "view right"}
    assert not any("gap" in at for _, at in found)


def test_shuffled_labels_are_at_chance_and_true_ones_are_not(case, ask):
    found = ask("shuffled_labels", case(skill=1.0))
    (mean,) = [v for (name, _), v in found.items() if name == "pairwise_accuracy"]
    (p,) = [v for (name, _), v in found.items() if name == "p_value"]
    assert mean == pytest.approx(0.5, abs=0.05)
    assert p == pytest.approx(1 / 201)
    noise = ask("shuffled_labels", case(skill=0.0, seed=3))
    assert next(v for (name, _), v in noise.items() if name == "p_value") > 0.02


def test_the_range_of_deals_is_that_of_the_deals_however_few_the_patients(case):
    asked = case(skill=1.0, patients=12)
    found = next(one for one in analyses.get("shuffled_labels")(asked) if one.name == "pairwise_accuracy")
    for config in (asked.config, dataclasses.replace(asked.config, interval="bca")):
        row = found.row(config)
        assert (row.low, row.high) == pytest.approx(tuple(np.quantile(found.replicates.drawn, [0.025, 0.975])))
        assert row.note == "", "an interval over 12 patients would be too narrow; this is none"


def test_grades_are_the_ridge_fitted_to_their_means(case, ask):
    one = case(skill=0.6)
    found = ask("grades", one)
    assert [at for name, at in found if name == "kendall_tau_b"] == [
        "2 grades", "3 grades", "5 grades", "10 grades", "continuous",
    ]  # fmt: skip
    train = one.labeled_train
    x = (train.u.astype(float) - train.u.mean(0, dtype=float)) / train.u.std(0, dtype=float)
    high = train.score > np.quantile(train.score, 0.5)
    y = np.where(high, train.score[high].mean(dtype=float), train.score[~high].mean(dtype=float))
    seen = (one.truth.observations.u.astype(float) - train.u.mean(0, dtype=float)) / train.u.std(0, dtype=float)
    taus = []
    for penalty in np.logspace(4, -4, 25) * len(y):
        scores = Ridge(alpha=penalty).fit(x, y).predict(seen)
        own = [
            scipy.stats.kendalltau(one.truth.observations.score[mine], scores[mine]).statistic
            for p in range(35)
            if len(np.unique(one.truth.observations.score[mine := one.truth.patient_of == p])) > 1
        ]
        taus.append(np.mean(own))
    assert min(abs(found["kendall_tau_b", "2 grades"] - tau) for tau in taus) < 1e-6


def test_transfer_between_and_within(case, ask):
    """Identity lies in dimension 1 and tells the score between patients alone; within patients only dimension 0
    does."""
    one = case(skill=0.0)
    for part in (one.train, one.truth.observations):
        rng = np.random.default_rng(len(part))
        level = dict(zip(np.unique(part.patient), rng.normal(0, 4, len(np.unique(part.patient))), strict=True))
        base = np.array([level[p] for p in part.patient])
        part.u[:, 1] = base
        part.u[:, 0] = part.score - 4 + rng.normal(0, 0.2, len(part))
        part.score[:] += 3 * base
    one = dataclasses.replace(one, truth=Truth.of(one.truth.observations, "visits", "all", 2.0))
    found = ask("transfer", one)
    within, between = (found["pairwise_accuracy", f"fitted {which} patients"] for which in ("within", "between"))
    assert within > 0.95
    assert within >= between
    assert found["coarse_c_index", "fitted between patients"] > found["coarse_c_index", "fitted within patients"] + 0.2


def test_one_visit_each_has_nothing_within(case, ask):
    found = ask("transfer", case(visits=1))
    assert {at for _, at in found} == {"fitted between patients"}
    assert ask("shuffled_labels", case(visits=1)) == "no fine pair differs in its score"
    assert ask("thresholds", case(visits=1)) == ask("subgroups", case(visits=1)) == "no fine pairs"
    assert ask("conformal", case(visits=1)).startswith("no fine pairs in test")


def test_equal_embeddings_identify_nobody(case, ask):
    one = case()
    one.truth.observations.u[:] = 0.3
    told = ask("identity", one)
    assert told["patient_identified", ""] == pytest.approx(told["patient_chance", ""], abs=1e-6)


def test_identity_is_found_where_it_is_and_at_chance_where_not(case, ask):
    one = case()
    random = ask("identity", one)
    assert random["patient_identified", ""] == pytest.approx(random["patient_chance", ""], abs=0.06)
    assert random["site_identified", ""] == pytest.approx(0.5, abs=0.15)
    assert random["site_chance", ""] == pytest.approx(0.5)
    for part in (one.train, one.truth.observations):
        part.u[:, 1:4] += 40 * np.random.default_rng(0).normal(size=(3000, 3))[part.patient]
        part.u[:, 4] += 9 * one.site[[rows[0] for rows in part.rows]]
    one = dataclasses.replace(one, truth=Truth.of(one.truth.observations, "visits", "all", 2.0))
    told = ask("identity", one)
    assert told["patient_identified", ""] > 0.9
    assert told["site_identified", ""] > 0.9
    seen = one.truth.observations
    unit = seen.u / np.linalg.norm(seen.u, axis=1, keepdims=True)
    cosine = unit @ unit.T - 9 * np.eye(len(unit))
    expected = np.mean(seen.patient[cosine.argmax(1)] == seen.patient)
    assert told["patient_identified", ""] == pytest.approx(expected, abs=1e-6)


def test_conformal_sets_are_calibrated_on_validation(case, ask):
    found = ask("conformal", case(skill=1.0, patients=60))
    assert found["coverage_per_patient", ""] == pytest.approx(0.91, abs=0.06)
    assert 1 <= found["set_size", ""] <= 3
    few = ask("conformal", case(patients=8))
    assert few == "sets of 90% coverage take 9 validation patients with fine pairs, and the run had 8"


def test_the_ceiling_is_what_the_true_scores_score(case, ask):
    one = case(skill=0.6, patients=300)
    assert ask("of_ceiling", one).startswith("the score's measurement error is not stated")
    rng = np.random.default_rng(9)
    true = rng.normal(0, 2, len(one.truth.observations)) + 3.0 * (one.truth.observations.patient % 7)
    one.truth.observations.score[:] = true + rng.normal(0, 1.5, len(true))
    one = dataclasses.replace(one, truth=Truth.of(one.truth.observations, "visits", "all", 2.0))
    one = dataclasses.replace(one, predictions=predict(one.readout, one.truth))
    found = noise_ceiling(one.truth, 1.5, one.resampling)
    assert all(f.row(one.config).low is None for f in found), "the variance of true scores is estimated too"
    assert not {f.name for f in found} & set(coarse.QUANTITIES), "means of patients are measured with error"
    top = {f.name: f.replicates.value for f in found if not f.at}
    truth = one.truth
    delta = true[truth.second] - true[truth.first]
    assert top["pairwise_accuracy"] == pytest.approx(np.mean(np.sign(delta) == np.sign(truth.delta)), abs=0.015)
    assert top["macro_f1"] == pytest.approx(f1_score(truth.change, change_class(delta, 2.0), average="macro"), abs=0.02)
    assert top["delta_pearson"] == pytest.approx(np.corrcoef(delta, truth.delta)[0, 1], abs=0.02)
    one.config.label_noise = 1.5
    share = ask("of_ceiling", one)
    right = np.mean(np.sign(one.predictions.delta) == np.sign(truth.delta))
    expected = (right - 0.5) / (top["pairwise_accuracy"] - 0.5)
    assert share["pairwise_accuracy", ""] == pytest.approx(expected, abs=1e-4)
    assert "macro_f1" not in {name for name, _ in share}, "it has no chance level"
    nothing = {f.name: f.replicates.value for f in noise_ceiling(truth, 9.0, one.resampling)}
    assert nothing["pairwise_accuracy"] == 0.5, "an error larger than all that moves leaves nothing to see"


def test_all_analyses_are_filed():
    assert analyses.list() == [
        "conformal", "grades", "identity", "of_ceiling", "shuffled_labels", "subgroups", "thresholds", "transfer",
    ]  # fmt: skip
