"""Distances against scipy; coarse pairs weigh the product of their patients' counts."""

import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from learner_jax.evaluators.quantities import embedding
from learner_jax.evaluators.quantities.embedding import effective_rank


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


def test_differences_that_are_all_equal_have_no_slope(said, values):
    """All patients move by one point: float32 sums leave some rounding about the mean, which is no spread."""
    one = said(seed=3, patients=113, visits=2, views=1)
    score = one.truth.observations.score.copy()
    one.truth.delta[:] = np.where(one.truth.delta < 0, -1.0, 1.0)
    for times in np.linspace(0.3, 3, 12):  # each another rounding
        one.truth.observations.score[:] = times * score
        found = values(one, "embedding")
        assert np.isnan(found["embedding_distance_slope"]), times
        assert np.isnan(found["embedding_distance_spearman"])
    near = np.random.default_rng(0).normal(1, 1e-3, len(one.truth))
    one.truth.delta[:] *= near
    scale = one.truth.observations.score.std(dtype=float)
    slope = scipy.stats.linregress(near / scale, one.distance).slope
    assert values(one, "embedding")["embedding_distance_slope"] == pytest.approx(slope, rel=1e-2)


def test_few_of_many_coarse_pairs_are_drawn(said, monkeypatch):
    monkeypatch.setattr(embedding, "_COARSE_PAIRS", 50)
    one = said(seed=3, patients=30, visits=3, views=1)
    n = embedding.prepare(one, 64).n["spread"]
    assert n[1] == 50


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
