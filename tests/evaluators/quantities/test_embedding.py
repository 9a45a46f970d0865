"""Distances against scipy; coarse pairs weigh as both their patients were drawn."""

import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from learner_jax.evaluators.quantities import embedding
from learner_jax.evaluators.quantities.embedding import cosine_distance, effective_rank, pair_distance


def test_fine_and_coarse_pairs(said, values):
    one = said(seed=3, patients=8, visits=3, views=1)
    truth = one.truth
    seen, owner = truth.observations, truth.patient_of
    found = values(one, "embedding")
    size = np.abs(truth.delta)
    assert found["embedding_distance_spearman"] == pytest.approx(
        scipy.stats.spearmanr(size, one.distance).statistic, abs=2e-6
    )
    slope = scipy.stats.linregress(size / seen.score.std(dtype=float), one.distance).slope
    assert found["embedding_distance_slope"] == pytest.approx(slope, rel=1e-4)
    i, j = np.triu_indices(24, 1)
    i, j = i[owner[i] != owner[j]], j[owner[i] != owner[j]]
    apart = np.array([scipy.spatial.distance.cosine(seen.u[a], seen.u[b]) for a, b in zip(i, j, strict=True)])
    rho = scipy.stats.spearmanr(np.abs(seen.score[i] - seen.score[j]), apart).statistic
    assert found["coarse_distance_spearman"] == pytest.approx(rho, abs=1e-4)
    assert found["spread"] == pytest.approx(apart.mean(), rel=1e-5)
    assert found["fine_to_coarse_distance"] == pytest.approx(one.distance.mean() / apart.mean(), rel=1e-5)
    drawn = np.array([0, 2, 1, 1, 3, 0, 1, 0])
    weight = drawn[owner[i]] * drawn[owner[j]]
    copied = np.repeat(np.arange(len(i)), weight)
    rho = scipy.stats.spearmanr(np.abs(seen.score[i] - seen.score[j])[copied], apart[copied]).statistic
    assert values(one, "embedding", drawn)["coarse_distance_spearman"] == pytest.approx(rho, abs=1e-4)
    assert values(one, "embedding", drawn)["spread"] == pytest.approx(apart[copied].mean(), rel=1e-5)


def test_few_of_many_coarse_pairs_are_drawn(said, monkeypatch):
    monkeypatch.setattr(embedding, "_COARSE_PAIRS", 50)
    first, second = embedding.draw_coarse_pairs(said(seed=3, patients=30, visits=3, views=1).truth)
    assert 40 < len(first) <= 50
    assert (first < second).all()


def test_effective_rank_counts_directions():
    rng = np.random.default_rng(0)
    line = rng.normal(size=(400, 1)) * np.ones((1, 8)) + 3
    assert effective_rank(line.astype(np.float32)) == pytest.approx(1, abs=1e-3)
    assert effective_rank(rng.normal(size=(20_000, 8)).astype(np.float32)) == pytest.approx(8, rel=0.01)
    assert effective_rank(np.full((9, 4), 0.1, np.float32)) == 0
    x = rng.normal(size=(30, 50)).astype(np.float32)
    values = np.linalg.svd(x - x.mean(0))[1] ** 2
    share = values[:29] / values[:29].sum()
    assert effective_rank(x) == pytest.approx(np.exp(-np.sum(share * np.log(share))), rel=1e-5)


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
    both = np.concatenate([a, b])
    np.testing.assert_array_equal(pair_distance(both, np.arange(8), np.arange(8, 16)), found)
