"""Arms on the same patients: seeds are averaged within patients, and the permutation test keeps its level."""

import dataclasses

import numpy as np
import pytest

from learner_jax.evaluators import comparing
from learner_jax.evaluators.comparing import join, over_seeds
from learner_jax.evaluators.predictions import Predictions
from learner_jax.evaluators.quantities import QUANTITIES, coarse
from learner_jax.evaluators.scoring import draws, estimate
from tfds_builders.errors import InputError


def another(one: Predictions, seed: int, noise: float) -> Predictions:
    """Another model's predictions of the same truth."""
    truth = one.truth
    scores = truth.observations.score + np.random.default_rng(seed).normal(0, noise, len(truth.patient_of))
    delta = scores[truth.second] - scores[truth.first]
    called = np.where(np.abs(delta) > 2, np.sign(delta), 0).astype(np.int32)
    return Predictions(truth, delta, called, None, scores, distance=one.distance, swapped=-called)


def differences(first, second, names, config):
    """Differences of two arms, each given by the predictions of its runs."""
    return comparing.differences(over_seeds(first, config), over_seeds(second, config), names, config)


@pytest.fixture
def base(said):
    return said(seed=1, patients=20, visits=4, views=1)


def test_seeds_are_averaged_in_value_and_in_every_draw(base, config):
    arm = [another(base, seed, 4.0) for seed in range(3)]
    averaged = over_seeds(arm, config)
    mean, spread = averaged.estimates, averaged.spread
    each = [{(f.name, f.at): f for f in estimate(one, draws(20, config))} for one in arm]
    for found in mean:
        values = [run[found.name, found.at].replicates.value for run in each]
        assert found.replicates.value == pytest.approx(np.mean(values), nan_ok=True)
        if np.isfinite(values).all():
            assert spread[found.name, found.at] == pytest.approx(np.std(values, ddof=1))
    accuracy = next(f for f in mean if f.name == "pairwise_accuracy").replicates
    one = each[0]["pairwise_accuracy", ""].replicates
    assert accuracy.drawn.std() < one.drawn.std(), "seeds average out their own errors, and patients do not"
    assert accuracy.drawn.std() > one.drawn.std() / 3**0.5, "seeds do not count as patients"


def test_a_run_does_not_differ_from_itself(base, config):
    found = differences([base], [base], ["pairwise_accuracy", "macro_f1", "delta_mae"], config)
    assert [one.row.value for one in found] == [0, 0, 0]
    assert [one.p for one in found] == [1, 1, 1]


def test_a_better_run_is_found_and_signs_turn_with_the_order(base, config):
    good, bad = another(base, 0, 0.5), another(base, 1, 20.0)
    names = ["pairwise_accuracy", "delta_mae", "coarse_c_index"]
    found = {one.row.name: one for one in differences([good], [bad], names, config)}
    assert found["pairwise_accuracy"].row.low > 0
    assert found["delta_mae"].row.high < 0
    assert all(one.p == pytest.approx(1 / (config.bootstrap + 1)) for one in found.values())
    assert all(one.p_holm == pytest.approx(3 * one.p) for one in found.values())
    back = {one.row.name: one for one in differences([bad], [good], names, config)}
    for name, one in found.items():
        assert back[name].row.value == pytest.approx(-one.row.value)
        assert back[name].p == one.p


def test_seeds_of_a_difference_are_matched(base, config):
    first, second = ([another(base, 10 * arm + seed, 4.0) for seed in range(3)] for arm in (0, 1))
    (found,) = differences(first, second, ["delta_mae"], config)
    error = [[np.abs(one.delta - one.truth.delta).mean() for one in arm] for arm in (first, second)]
    assert found.row.value == pytest.approx(np.mean(error[0]) - np.mean(error[1]), abs=1e-5)
    assert found.sd_over_seeds == pytest.approx(np.std(np.subtract(*error), ddof=1), rel=1e-4)
    assert differences(first[:1], second[:1], ["delta_mae"], config)[0].sd_over_seeds is None


def test_p_is_of_the_difference_that_is_shown_also_where_one_arm_has_more_seeds(base, config):
    """The first seed of three is as bad as the only one of the other arm; the difference lies in the other two."""
    first, second = [another(base, 0, 4.0), another(base, 1, 0.5), another(base, 2, 0.5)], [another(base, 3, 4.0)]
    (found,) = differences(first, second, ["delta_mae"], config)
    error = [[np.bincount(one.truth.patient, np.abs(one.delta - one.truth.delta)) for one in arm]
             for arm in (first, second)]  # fmt: skip
    apart = np.mean(error[0], axis=0) - error[1][0]
    assert found.row.value == pytest.approx(apart.sum() / len(base.truth), rel=1e-4)
    signs = np.random.default_rng(1).choice([-1, 1], (20_000, len(apart)))
    assert found.p == pytest.approx(np.mean(np.abs(signs @ apart) >= abs(apart.sum())), abs=0.005)
    assert found.sd_over_seeds is None
    (back,) = differences(second, first, ["delta_mae"], config)
    assert (back.row.value, back.p) == (pytest.approx(-found.row.value), found.p)


def test_a_seed_that_one_arm_lacks_is_matched_with_no_other(base, config):
    first, second = ([another(base, 10 * arm + seed, 4.0) for seed in range(4)] for arm in (0, 1))
    averaged = over_seeds(first, config), over_seeds(second[1:], config, (1, 2, 3))
    (found,) = comparing.differences(*averaged, ["delta_mae"], config)
    error = [[np.abs(one.delta - one.truth.delta).mean() for one in arm] for arm in (first, second)]
    apart = np.subtract(error[0][1:], error[1][1:])
    assert found.sd_over_seeds == pytest.approx(np.std(apart, ddof=1), rel=1e-4)
    assert found.row.value == pytest.approx(np.mean(error[0]) - np.mean(error[1][1:]), abs=1e-5)
    alone = over_seeds(first, config, (7, 8, 9, 10)), averaged[1]
    assert comparing.differences(*alone, ["delta_mae"], config)[0].sd_over_seeds is None


def test_p_values_are_uniform_where_arms_are_alike(said, config):
    """Two equally good models: 5 % of tests reject at 5 %."""
    config = dataclasses.replace(config, bootstrap=99)
    p = []
    for seed in range(60):
        one = said(seed=100, patients=25, visits=3, views=1)
        a, b = another(one, 2 * seed, 4.0), another(one, 2 * seed + 1, 4.0)
        p.append(differences([a], [b], ["pairwise_accuracy"], config)[0].p)
    assert np.mean(np.array(p) <= 0.05) <= 0.13
    assert np.mean(p) == pytest.approx(0.5, abs=0.13)


def test_few_patients_are_exchanged_in_every_way(said, config):
    one = said(seed=3, patients=5, visits=4, views=1)
    a, b = another(one, 0, 1.0), another(one, 1, 6.0)
    (found,) = differences([a], [b], ["delta_mae"], config)
    truth, apart = one.truth, np.abs(a.delta - one.truth.delta) - np.abs(b.delta - one.truth.delta)
    own = np.bincount(truth.patient, apart)
    signs = 1 - 2 * ((np.arange(32)[:, None] >> np.arange(5)) & 1)
    assert found.p == pytest.approx(np.mean(np.abs(signs @ own) >= np.abs(own.sum()) - 1e-9))


def test_exchanges_that_change_nothing_are_ties_also_in_float32(said, config):
    """Arms that differ in k of 10 patients: only 2^k exchanges differ, and p is a multiple of 2 / 2^k."""
    names = ["pairwise_accuracy_per_patient", "direction_auroc", "rm_correlation", "delta_ccc", "delta_mae"]
    for seed, k in ((0, 1), (1, 2), (2, 3), (19, 4)):
        a = another(said(seed=seed, patients=10, visits=4, views=1), seed, 1.0)
        b, few = another(a, seed + 50, 6.0), a.truth.patient < k
        fields = {name: np.where(few, getattr(b, name), getattr(a, name)) for name in ("delta", "change", "swapped")}
        scores = np.where(a.truth.patient_of < k, b.scores, a.scores)
        for one in differences([a], [dataclasses.replace(a, scores=scores, **fields)], names, config):
            share = one.p * 2**k / 2
            assert share == pytest.approx(round(share), abs=1e-6), (one.row.name, one.p)


def test_p_does_not_depend_on_the_scale_of_an_arm_where_the_figure_does_not(base, config):
    a, b = another(base, 0, 1.0), another(base, 1, 4.0)
    apart = np.abs(base.truth.delta) + np.random.default_rng(0).normal(0, 4, len(base.delta))
    b = dataclasses.replace(b, distance=np.abs(apart))
    small = dataclasses.replace(b, delta=b.delta / 50, scores=b.scores / 50, distance=b.distance / 50)
    names = [name for name, quantity in QUANTITIES.items() if quantity.scale_free]
    found, scaled = ({one.row.name: one for one in differences([a], [x], names, config)} for x in (b, small))
    assert set(found) == set(names)
    for name, one in found.items():
        assert scaled[name].p == pytest.approx(one.p, abs=2 / 200), name
        assert scaled[name].row.value == pytest.approx(one.row.value, abs=1e-5), name
    assert found["score_spearman"].p < 0.05


def test_the_coarse_c_index_of_very_many_patients_is_not_exchanged(base, config, monkeypatch):
    """Above the limit its sums are linear in the counts, which holds near 1 but not for counts of 0 and 1."""
    names = ["pairwise_accuracy", "coarse_c_index"]
    arms = [another(base, 0, 1.0)], [another(base, 1, 4.0)]
    assert [one.row.name for one in differences(*arms, names, config)] == names
    monkeypatch.setattr(coarse, "MOST_PATIENTS", 2 * base.truth.n_patients)
    assert [one.row.name for one in differences(*arms, names, config)] == names[:1]


def test_joined_predictions_hold_both(base):
    other = another(base, 0, 3.0)
    joint, n = join(base, other), base.truth.n_patients
    assert joint.truth.n_patients == 2 * n
    k = len(base.truth)
    np.testing.assert_array_equal(joint.delta, np.concatenate([base.delta, other.delta]))
    np.testing.assert_array_equal(joint.truth.patient[k:], base.truth.patient + n)
    scores = joint.scores[joint.truth.second] - joint.scores[joint.truth.first]
    np.testing.assert_array_equal(scores, joint.delta)


def test_other_patients_pairs_or_thresholds_are_refused(said, base, config):
    fewer = said(seed=1, patients=19, visits=4, views=1)
    with pytest.raises(InputError, match=r"different pairs \(120 of 20 patients, 114 of 19\)"):
        differences([base], [fewer], ["macro_f1"], config)
    with pytest.raises(InputError, match="change threshold of 2 and another with 3"):
        comparing.check_same(base.truth, said(seed=1, patients=20, visits=4, views=1, threshold=3.0).truth)
    neighbours = said(seed=1, patients=20, visits=4, views=1, order="consecutive")
    with pytest.raises(InputError, match="different pairs"):
        over_seeds([base, neighbours], config)
