"""The bootstrap against a plain loop, and against resampling the raw pairs of patients."""

import jax
import numpy as np
import pytest

from learner_jax.evaluators.statistics import bootstrap
from learner_jax.evaluators.statistics.bootstrap import (
    Resampling,
    leave_out,
    padded,
    ratio,
    replicate,
    resample,
    summed,
)


def accuracy(data, counts):
    return {"accuracy": ratio(summed(data["right"], counts), summed(data["pairs"], counts))}


@pytest.fixture(scope="module")
def patients():
    rng = np.random.default_rng(0)
    pairs = np.append(rng.integers(1, 12, 40), np.zeros(24, int))
    pairs[7] = 60  # one patient with most of the pairs: what a bootstrap of pairs would get wrong
    return {"right": rng.binomial(pairs, rng.beta(1.4, 0.6, 64)).astype(np.float32), "pairs": pairs.astype(np.float32)}


def test_counts_are_multinomial_and_reproducible():
    counts = np.asarray(resample(3, 40, replicates=2000, width=64))
    assert counts.shape == (64, 2000)
    assert (counts.sum(axis=0) == 40).all()
    assert (counts[40:] == 0).all()
    assert counts[:40].mean(axis=1) == pytest.approx(1, abs=0.1)
    assert counts[:40].var() == pytest.approx(1 - 1 / 40, rel=0.03)
    np.testing.assert_array_equal(counts, resample(3, 40, replicates=2000, width=64))
    assert (counts != np.asarray(resample(4, 40, replicates=2000, width=64))).any()


def test_a_users_generator_changes_no_table():
    with jax.default_prng_impl("rbg"):
        other = np.asarray(resample(3, 40, replicates=20, width=64))
    np.testing.assert_array_equal(other, resample(3, 40, replicates=20, width=64))


def test_replicates_equal_a_plain_loop_over_the_same_counts(patients):
    counts = resample(0, 40, replicates=2000, width=64)
    found = replicate(accuracy, patients, counts)["accuracy"]
    expected = []
    for drawn in np.asarray(counts).T:
        right = pairs = 0.0
        for p in range(40):
            right += float(drawn[p]) * float(patients["right"][p])
            pairs += float(drawn[p]) * float(patients["pairs"][p])
        expected.append(np.float32(right) / np.float32(pairs))
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_mean_and_sd_equal_resampling_of_raw_pairs(patients):
    found = np.asarray(replicate(accuracy, patients, resample(1, 40, replicates=2000, width=64))["accuracy"])
    raw = [np.repeat([1, 0], [int(r), int(n - r)]) for r, n in zip(*patients.values(), strict=True)][:40]
    rng = np.random.default_rng(0)
    brute = np.array([np.concatenate([raw[p] for p in rng.integers(0, 40, 40)]).mean() for _ in range(2000)])
    assert found.mean() == pytest.approx(brute.mean(), abs=4 * brute.std() / 2000**0.5)
    assert found.std() == pytest.approx(brute.std(), rel=0.08)
    independent = 0.7 * 0.3 / patients["pairs"].sum()
    assert found.std() > 1.5 * independent**0.5  # clustering is not ignored


def test_how_many_replicates_are_in_memory_at_once_changes_no_bit(patients, monkeypatch):
    counts = resample(0, 40, replicates=300, width=64)
    whole = np.asarray(replicate(accuracy, patients, counts)["accuracy"])
    monkeypatch.setattr(bootstrap, "_CHUNK", 17)
    replicate.clear_cache()
    np.testing.assert_array_equal(replicate(accuracy, patients, counts)["accuracy"], whole)
    replicate.clear_cache()


def test_one_patient_is_left_out_at_a_time_and_of_many_a_group():
    counts = leave_out(5, 64)
    np.testing.assert_array_equal(counts[:5], 1 - np.eye(5))
    assert (counts[5:] == 0).all()
    many = leave_out(1000, 1024)
    assert many.shape == (1024, 400)
    assert set(many.sum(0)) == {997.0, 998.0}
    assert (many[:1000].sum(1) == 399).all()


def test_a_resampling_tells_value_draws_and_jackknife_apart(patients):
    resampling = Resampling.draw(40, 50, seed=0)
    assert resampling.width > 40, "padding has a row that is never drawn"
    data = {name: np.pad(x[:40], (0, resampling.width - 40)) for name, x in patients.items()}
    (found,) = resampling.run(accuracy, data)["accuracy"]
    assert found.value == pytest.approx(patients["right"][:40].sum() / patients["pairs"][:40].sum(), rel=1e-6)
    assert (found.drawn.shape, found.left_out.shape) == ((50,), (40,))
    without = (patients["right"][:40].sum() - patients["right"][3]) / (
        patients["pairs"][:40].sum() - patients["pairs"][3]
    )
    assert found.left_out[3] == pytest.approx(without, rel=1e-6)


def test_sizes_are_few_and_large_enough():
    sizes = {padded(n) for n in range(1, 5000)}
    assert all(padded(n) >= n for n in range(1, 5000))
    assert all(padded(n) <= max(64, 1.25 * n + 16) for n in range(1, 5000))
    assert len(sizes) < 35
