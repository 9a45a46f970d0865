"""What holds for every read-out: symmetry, independence of order and of other rows, files, faults, no NaN."""

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax

from learner_jax.evaluators import blockwise, readouts
from learner_jax.evaluators.change import true_change
from learner_jax.evaluators.pairs import fine_pairs
from learner_jax.evaluators.readouts import Model, Readout
from tfds_builders.errors import InputError

NAMES = readouts.list_readouts()
TRAINED = ["knn", "linear", "mlp", "reference", "ridge"]


def without_scores(observations):
    return dataclasses.replace(observations, score=np.full_like(observations.score, np.nan))


def two(first):
    """Indices of pairs whose second halves follow their first."""
    return np.arange(len(first)), np.arange(len(first)) + len(first)


def said(readout, first, second):
    """All predictions of a read-out for pairs."""
    return {
        "delta": readout.delta(first, second),
        "change": readout.change(first, second),
        "probability": readout.probability(first, second),
        "logits": readout.compare(np.concatenate([first, second]), *two(first)).logits,
        "scores": readout.scores(second),
    }


def assert_same(a, b):
    for name in a:
        assert (a[name] is None) == (b[name] is None)
        if a[name] is not None:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_there_is_a_read_out_for_every_comparison():
    assert NAMES == ["davidson", "knn", "lilac", "lilac_order", "linear", "mlp", "reference", "ridge", "score_head"]


@pytest.mark.parametrize("name", NAMES)
def test_swapped_visits_give_the_opposite_to_the_bit(name, splits, context):
    train, val, test = splits(unlabeled=0.1)
    found = readouts.fit(name, train, val, context())
    assert isinstance(found.model, Model)
    assert found.model.kind == name
    forth, back = said(found, test.u[1:], test.u[:-1]), said(found, test.u[:-1], test.u[1:])
    np.testing.assert_array_equal(forth["delta"], -back["delta"])
    np.testing.assert_array_equal(forth["change"], -back["change"])
    np.testing.assert_array_equal(forth["probability"], back["probability"][:, ::-1])
    assert np.abs(forth["delta"]).max() > 0
    assert all(x is None or np.isfinite(x).all() for x in forth.values())
    np.testing.assert_allclose(forth["probability"].sum(axis=1), 1, rtol=1e-12)
    assert (forth["probability"] >= 0).all()
    itself = said(found, test.u, test.u)
    assert (itself["delta"] == 0).all()
    assert (itself["change"] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_order_of_observations_and_other_rows_change_no_bit(name, splits, context, monkeypatch):
    train, val, test = splits(dim=40, unlabeled=0.2)
    found = readouts.fit(name, train, val, context(40))
    whole = said(found, test.u[1:], test.u[:-1])
    mixed = [s.take(np.random.default_rng(0).permutation(len(s))) for s in (train, val)]
    assert_same(said(readouts.fit(name, *mixed, context(40)), test.u[1:], test.u[:-1]), whole)
    one = said(found, test.u[6:7], test.u[5:6])
    assert_same(one, {key: x if x is None else x[5:6] for key, x in whole.items()})
    many = said(found, np.repeat(test.u[6:7], 37, axis=0), np.repeat(test.u[5:6], 37, axis=0))
    assert_same(many, {key: x if x is None else np.repeat(x, 37, axis=0) for key, x in one.items()})
    assert_same(said(found, np.asfortranarray(test.u[1:]), np.asfortranarray(test.u[:-1])), whole)
    index = np.arange(len(test) - 1)
    np.testing.assert_array_equal(found.compare(test.u, index + 1, index).delta, whole["delta"])
    if whole["scores"] is not None:
        np.testing.assert_array_equal(whole["scores"] - found.scores(test.u[1:]), whole["delta"])
    monkeypatch.setattr(blockwise, "SIZE", 7)
    assert_same(said(found, test.u[1:], test.u[:-1]), whole)
    np.testing.assert_array_equal(found.compare(test.u, index + 1, index).delta, whole["delta"])


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read_to_the_bit(name, splits, context, tmp_path):
    train, val, test = splits()
    found = readouts.fit(name, train, val, context())
    found = dataclasses.replace(found, spec={"views": ["left", "right"], "data": "d41d8c"})
    found.write(tmp_path / "eval" / "100", name)
    assert sorted(p.name for p in (tmp_path / "eval" / "100").iterdir()) == [f"{name}.json", f"{name}.safetensors"]
    again = Readout.read(tmp_path / "eval" / "100", name)
    for ours, theirs in ((found, again), (found.model, again.model), (found.decision, again.decision)):
        assert type(ours) is type(theirs)
        for field in dataclasses.fields(ours):
            if field.name != "model":
                np.testing.assert_array_equal(getattr(theirs, field.name), getattr(ours, field.name))
    assert_same(said(again, test.u[1:], test.u[:-1]), said(found, test.u[1:], test.u[:-1]))


@pytest.mark.parametrize("name", NAMES)
def test_without_validation_there_are_no_fitted_probabilities(name, splits, context):
    train, val, test = splits()
    found = readouts.fit(name, train, val.take(np.arange(0)), context())
    by_logits = found.compare(test.u, np.arange(1), np.arange(1)).logits is not None
    assert_same(
        said(readouts.fit(name, train, without_scores(val), context()), test.u[1:], test.u[:-1]),
        said(found, test.u[1:], test.u[:-1]),
    )
    probability = found.probability(test.u[1:], test.u[:-1])
    decision = found.decision
    if by_logits:
        np.testing.assert_allclose(probability, softmax(said(found, test.u[1:], test.u[:-1])["logits"], axis=1))
        assert decision.temperature_source == "1, as fitted: no fine pairs in validation"
        return
    assert probability is None
    assert decision.temperature_source == "no probabilities: no fine pairs in validation"
    if found.model.in_score_units:
        assert decision.threshold == found.change_threshold == 2.0
        assert decision.threshold_source == "config.eval.change_threshold: no fine pairs in validation"
    else:
        assert decision.threshold == 0
        assert "0: no fine pairs in validation, and this read-out's delta is not in" in decision.threshold_source


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threshold", [0.1, 100.0], ids=["none_stable", "all_stable"])
def test_change_of_a_single_kind_breaks_nothing(name, threshold, splits, context, config):
    train, val, test = splits(visits=2)
    train, val = (dataclasses.replace(s, score=s.score + 0.2 * s.visit.astype(np.float32)) for s in (train, val))
    found = readouts.fit(name, train, val, context(config=dataclasses.replace(config, change_threshold=threshold)))
    values = said(found, test.u[1:], test.u[:-1])
    assert all(x is None or np.isfinite(x).all() for x in values.values())
    pairs = fine_pairs(val, "visits", "all")
    truth = true_change(val.score[pairs.first], val.score[pairs.second], threshold)
    likely = found.probability(val.u[pairs.first], val.u[pairs.second])
    assert np.mean(np.log(likely[np.arange(len(truth)), truth + 1])) > np.log(1 / 3) - 0.2
    if threshold == 100.0:
        assert (found.change(val.u[pairs.first], val.u[pairs.second]) == 0).all() or name == "davidson"


@pytest.mark.parametrize("name", TRAINED)
def test_collapsed_embeddings_change_nothing(name, splits, context):
    train, val, test = splits()
    for s in (train, val, test):
        s.u[:] = 0.1
    found = readouts.fit(name, train, val, context())
    values = said(found, test.u[1:], test.u[:-1])
    assert (values["delta"] == 0).all()
    assert (values["change"] == 0).all()
    assert all(x is None or np.isfinite(x).all() for x in values.values())


@pytest.mark.parametrize("name", TRAINED)
def test_strong_signal_is_read(name, splits, context):
    train, val, test = splits(patients=40, skill=2.0)
    if name in ("knn", "reference"):  # cosine distances: the direction has to carry the score
        for s in (train, val, test):
            s.u[:, 0] -= 7
            s.u[:, 1:] = s.u[:, 1:] / 4 + 3
    found = readouts.fit(name, train, val, context())
    pairs = fine_pairs(test, "visits", "all")
    truth = test.score[pairs.second] - test.score[pairs.first]
    delta = found.compare(test.u, pairs.first, pairs.second).delta
    moved = truth != 0
    assert np.mean(np.sign(delta)[moved] == np.sign(truth)[moved]) > 0.9
    change = found.change(test.u[pairs.first], test.u[pairs.second])
    assert np.mean(change == true_change(test.score[pairs.first], test.score[pairs.second], 2.0)) > 0.7


def test_faults_are_sentences(splits, context, config, tmp_path):
    train, val, test = splits()
    with pytest.raises(InputError, match=r"no read-out is called 'rigde'; did you mean 'ridge'\?.*config\.eval\.read"):
        readouts.fit("rigde", train, val, context())
    with pytest.raises(InputError, match=r"--config\.eval\.change_threshold=…"):
        readouts.fit("ridge", train, val, context(config=dataclasses.replace(config, change_threshold=None)))
    broken = dataclasses.replace(train, u=np.where(np.arange(len(train))[:, None] == 3, np.nan, train.u))
    with pytest.raises(
        InputError, match="1 of 48 training embeddings hold NaN or infinity, first that of cohort row 6"
    ):
        readouts.fit("ridge", broken, val, context())
    with pytest.raises(InputError, match="1 of 48 validation embeddings"):
        readouts.fit("ridge", train, broken, context())
    found = readouts.fit("linear", train, val, context())
    with pytest.raises(InputError, match="takes embeddings of width 6, not 5; it is another run's"):
        found.delta(test.u[:, :5], test.u[:, :5])
    with pytest.raises(InputError, match="takes embeddings of width 6, not 5; it is another run's"):
        found.scores(test.u[:, :5])
    found.write(tmp_path, "linear")
    (tmp_path / "linear.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"holds no complete read-out 'linear'.*python -m learner_jax\.evaluate"):
        Readout.read(tmp_path, "linear")
    with pytest.raises(InputError, match="holds no complete read-out 'ridge'"):
        Readout.read(tmp_path, "ridge")


@pytest.mark.parametrize("name", TRAINED)
def test_read_outs_that_learn_from_scores_need_two_different_ones(name, splits, context):
    train, val, _ = splits()
    with pytest.raises(InputError, match="all 48 training observations have sf_ratio = 3, so no read-out"):
        readouts.fit(name, dataclasses.replace(train, score=np.full(48, 3, np.float32)), val, context())
    few = np.where(np.arange(48) == 5, 1, np.nan).astype(np.float32)
    with pytest.raises(InputError, match="1 of 48 training observations carry 'sf_ratio'; a read-out needs at least 2"):
        readouts.fit(name, dataclasses.replace(train, score=few), val, context())
