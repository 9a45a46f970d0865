"""The bootstrap against a plain loop, and against resampling the raw pairs of patients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.evaluators.statistics import make_row, percentile_interval, ratio, replicate, resample, summed


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
    assert counts.shape == (2000, 64)
    assert (counts.sum(axis=1) == 40).all()
    assert (counts[:, 40:] == 0).all()
    assert counts[:, :40].mean(axis=0) == pytest.approx(1, abs=0.1)
    assert counts[:, :40].var() == pytest.approx(1 - 1 / 40, rel=0.03)
    np.testing.assert_array_equal(counts, resample(3, 40, replicates=2000, width=64))
    assert (counts != np.asarray(resample(4, 40, replicates=2000, width=64))).any()


def test_replicates_equal_a_plain_loop_over_the_same_counts(patients):
    counts = resample(0, 40, replicates=2000, width=64)
    found = replicate(accuracy, patients, counts)["accuracy"]
    expected = []
    for drawn in np.asarray(counts):
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


def test_rows_say_what_a_reader_must_know():
    values = np.array([0.4, 0.5, np.nan, 0.6], np.float32)
    assert percentile_interval(values, 0.5) == (pytest.approx(0.45), pytest.approx(0.55), 1)
    row = make_row("x", 0.5, values, 0.95, 12, 30, "undefined: why")
    assert (row.value, row.n_patients, row.n_pairs) == (0.5, 12, 30)
    assert row.note == (
        "12 patients: with fewer than 30 the interval is too narrow; "
        "1 of 4 resamples left it undefined and are left out"
    )
    assert make_row("x", 0.5, values[:2], 0.95, 30, None, "").note == ""
    one = make_row("x", 0.5, values, 0.95, 1, 3, "")
    assert (one.low, one.high, one.note) == (None, None, "1 patient: an interval needs at least 2")
    none = make_row("x", float("nan"), values, 0.95, 12, 0, "undefined: why")
    assert (none.value, none.low, none.high, none.note) == (None, None, None, "undefined: why")
    lost = make_row("x", 0.5, np.full(4, np.nan, np.float32), 0.95, 40, 9, "")
    assert (lost.low, lost.high) == (None, None)


def test_sums_of_counts_are_exact_at_low_default_precision(patients):
    with jax.default_matmul_precision("bfloat16"):
        total = summed(jnp.asarray(patients["pairs"]) + 4097, jnp.ones(64))
    assert float(total) == patients["pairs"].sum() + 64 * 4097
