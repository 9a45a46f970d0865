"""Spearman under resampling against scipy on the resampled entries; cosine distance against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from learner_jax.evaluators.correlation import cosine_distance, rank_plan, spearman

_spearman = jax.jit(spearman)


def ranked(x, y, patient, mask):
    plans = {"x": rank_plan(x), "y": rank_plan(y)}
    return {**plans, "patient": patient.astype(np.int32), "mask": mask}


@pytest.mark.parametrize("levels", [4, 1_000_000], ids=["many ties", "few ties"])
def test_spearman_of_drawn_patients_is_scipys_of_the_copies(levels):
    rng = np.random.default_rng(levels)
    k, patients = 512, 30
    patient = rng.integers(0, patients, k)
    x = rng.integers(0, levels, k).astype(float)
    y = x + rng.integers(0, levels, k)
    real = np.arange(k) < 400
    data = ranked(np.where(real, x, np.inf), np.where(real, y, np.inf), patient, real)
    for counts in (np.ones(patients), rng.multinomial(patients, np.ones(patients) / patients)):
        copies = np.repeat(np.arange(400), counts[patient[:400]].astype(int))
        expected = scipy.stats.spearmanr(x[copies], y[copies]).statistic
        found = _spearman(data, jnp.asarray(counts, jnp.float32))
        assert float(found) == pytest.approx(expected, abs=2e-6)


def test_constant_side_is_undefined():
    k = 512
    patient, mask = np.arange(k) % 30, np.ones(k, bool)
    x = np.arange(k, dtype=float)
    assert np.isnan(_spearman(ranked(x, np.ones(k), patient, mask), jnp.ones(30)))
    assert float(_spearman(ranked(x, -x, patient, mask), jnp.ones(30))) == pytest.approx(-1, abs=1e-6)


def test_cosine_distance_is_scipys_and_keeps_small_distances():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(8, 16)).astype(np.float32) * 10.0 ** rng.integers(-15, 15, (8, 1)).astype(np.float32)
    b = rng.normal(size=(8, 16)).astype(np.float32)
    b[0] = a[0] * (1 + 1e-4 * rng.normal(size=16))  # about 1e-8 apart: 1 - cos in float32 would be noise
    b[1], b[2], b[3] = a[1], 0, -a[3]
    found = np.asarray(cosine_distance(a, b))
    rows = [0, 4, 5, 6, 7]
    expected = [scipy.spatial.distance.cosine(a[i].astype(float), b[i].astype(float)) for i in rows]
    np.testing.assert_allclose(found[rows], expected, rtol=2e-3)
    np.testing.assert_allclose(found[rows[1:]], expected[1:], rtol=1e-5)
    assert found[1] == 0
    assert found[2] == 1
    assert found[3] == pytest.approx(2, rel=1e-6)
