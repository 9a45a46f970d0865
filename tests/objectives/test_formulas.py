"""Every rival against its formula: plain loops over rows in float64, written from the papers' text alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh

TAU, SIGMA, BINS, RANGE, SIMILAR = 0.1, 0.5, 10, 4.0, 0.5


class Rows:
    """What a formula sees: real labeled rows with float64 values."""

    def __init__(self, z, b, params):
        self.z, self.y = z.astype(np.float64), b.score.astype(np.float64)
        self.b, self.params = b, params
        self.real = [i for i in range(len(z)) if b.mask[i]]
        self.labeled = [i for i in self.real if np.isfinite(b.score[i])]

    def others(self, i):
        return [j for j in self.labeled if j != i]

    def cosine(self, i, j):
        return self.z[i] @ self.z[j] / np.linalg.norm(self.z[i]) / np.linalg.norm(self.z[j])

    def d(self, i, j):
        return abs(self.y[i] - self.y[j])

    def bin(self, i):
        return int(np.clip(np.floor((self.y[i] / RANGE + 0.5) * BINS), 0, BINS - 1))

    def kernel(self, i, j):
        return np.exp(-(self.d(i, j) ** 2) / (2 * SIGMA**2))

    def predicted(self, key, bias=0.0):
        return self.z @ np.asarray(self.params[key]["kernel"], np.float64)[:, 0] + bias


def supcon(r):
    terms = []
    for i in r.labeled:
        alike = [j for j in r.others(i) if r.bin(j) == r.bin(i)]
        if alike:
            total = np.logaddexp.reduce([r.cosine(i, a) / TAU for a in r.others(i)])
            terms.append(np.mean([total - r.cosine(i, p) / TAU for p in alike]))
    return np.mean(terms)


def y_aware(r):
    terms = []
    for i in r.labeled:
        total = np.logaddexp.reduce([r.cosine(i, a) / TAU for a in r.others(i)])
        w = np.array([r.kernel(i, k) for k in r.others(i)])
        terms.append(sum(w * [total - r.cosine(i, k) / TAU for k in r.others(i)]) / w.sum())
    return np.mean(terms)


def exp_kernel(r):
    terms = []
    for i in r.labeled:
        total = np.logaddexp.reduce([r.cosine(i, t) / TAU * (1 - r.kernel(i, t)) for t in r.others(i)])
        w = np.array([r.kernel(i, k) for k in r.others(i)])
        terms.append(sum(w * [total - r.cosine(i, k) / TAU for k in r.others(i)]) / w.sum())
    return np.mean(terms)


def threshold_kernel(r):
    terms = []
    for i in r.labeled:
        costs, weights = [], []
        for k in r.others(i):
            farther = [r.cosine(i, t) / TAU for t in r.others(i) if r.d(i, t) > r.d(i, k) + 1e-5]
            if farther:
                costs.append(np.logaddexp.reduce(farther) - r.cosine(i, k) / TAU)
                weights.append(r.kernel(i, k))
        if costs:
            terms.append(np.dot(costs, weights) / sum(weights))
    return np.mean(terms)


def adacon(r, eta=0.2, tau=1 / 150):
    terms = []
    for i in r.labeled:
        alike = [j for j in r.others(i) if r.bin(j) == r.bin(i)]
        if alike:
            margin = {a: 0 if a in alike else min(eta * r.d(i, a), 2) for a in r.others(i)}
            total = np.logaddexp.reduce([(r.cosine(i, a) + margin[a]) / tau for a in r.others(i)])
            terms.append(np.mean([total - r.cosine(i, p) / tau for p in alike]))
    return np.mean(terms)


def conr(r, push=0.2, tau=0.2):
    guess, terms = r.predicted("head"), []
    for i in r.labeled:
        alike = [j for j in r.others(i) if r.d(i, j) <= SIMILAR]
        confused = [j for j in r.others(i) if r.d(i, j) > SIMILAR and abs(guess[i] - guess[j]) <= SIMILAR]
        if not alike or not confused:
            terms.append(0.0)
            continue
        total = sum(np.exp(r.cosine(i, p) / tau) for p in alike)
        total += sum(np.exp(push * r.d(i, n)) * np.exp(r.cosine(i, n) / tau) for n in confused)
        terms.append(np.mean([np.log(total) - r.cosine(i, p) / tau for p in alike]))
    return np.mean(terms)


def ranksim(r):
    terms = []
    for i in r.labeled:
        n = len(r.labeled)
        cosine = [1.0 if j == i else r.cosine(i, j) for j in r.labeled]
        rank = [sum(other > c for other in cosine) + 1 for c in cosine]
        d = [r.d(i, j) for j in r.labeled]
        wanted = [sum(o < x - 1e-5 for o in d) + (sum(abs(o - x) <= 1e-5 for o in d) + 1) / 2 for x in d]
        terms.append(np.mean((np.array(rank) / n - np.array(wanted) / n) ** 2))
    return np.mean(terms)


def siamese_margin(r):
    terms = []
    for i in r.labeled:
        for j in r.labeled:
            if r.b.patient[i] != r.b.patient[j]:
                distance = np.linalg.norm(r.z[i] - r.z[j])
                terms.append(max(2 - distance, 0) ** 2 if r.d(i, j) > SIMILAR else distance**2)
    return np.mean(terms)


def fine_pairs(r):
    same = lambda i, j: r.b.patient[i] == r.b.patient[j] and r.b.row[i] != r.b.row[j]  # noqa: E731
    return [(i, j) for i in r.labeled for j in r.labeled if same(i, j)]


def lilac(r):
    g = r.predicted("difference")
    return np.mean([(g[j] - g[i] - (r.y[j] - r.y[i])) ** 2 for i, j in fine_pairs(r)])


def lilac_order(r):
    g, terms = r.predicted("order"), []
    for i, j in fine_pairs(r):
        t = 0.5 if r.y[i] == r.y[j] else float(r.y[j] > r.y[i])
        p = 1 / (1 + np.exp(-(g[j] - g[i])))
        terms.append(-t * np.log(p) - (1 - t) * np.log(1 - p))
    return np.mean(terms)


def davidson(r):
    g, nu = r.predicted("davidson"), np.exp(float(r.params["davidson"]["log_tie"]))
    terms = []
    for i in r.labeled:
        for j in (j for j in r.others(i) if r.b.row[i] != r.b.row[j]):
            x = (g[j] - g[i]) / 2
            total = np.exp(x) + np.exp(-x) + nu
            outcome = nu if r.d(i, j) <= SIMILAR else np.exp(x) if r.y[j] > r.y[i] else np.exp(-x)
            terms.append(-np.log(outcome / total))
    return np.mean(terms)


def simclr(r):
    terms = []
    for i in r.real:
        rest = [a for a in r.real if a != i]
        total = np.logaddexp.reduce([r.cosine(i, a) / TAU for a in rest])
        copies = [p for p in rest if r.b.row[p] == r.b.row[i]]
        if copies:
            terms.append(np.mean([total - r.cosine(i, p) / TAU for p in copies]))
    return np.mean(terms)


def cross_entropy(r):
    logits = r.z @ np.asarray(r.params["bins"]["kernel"], np.float64) + np.asarray(r.params["bins"]["bias"])
    return np.mean([np.logaddexp.reduce(logits[i]) - logits[i, r.bin(i)] for i in r.labeled])


def coral(r):
    score, bias = r.predicted("thresholds"), np.asarray(r.params["thresholds"]["bias"], np.float64)
    terms = []
    for i in r.labeled:
        p = 1 / (1 + np.exp(-(score[i] + bias)))
        above = np.array([r.bin(i) >= k for k in range(1, BINS)])
        terms.append(-np.log(np.where(above, p, 1 - p)).sum())
    return np.mean(terms)


POINTWISE = (cross_entropy, coral)
PAIRWISE = (supcon, y_aware, exp_kernel, threshold_kernel, adacon, conr, siamese_margin, lilac, lilac_order, davidson)
ALL = [f.__name__ for f in (*POINTWISE, *PAIRWISE, simclr, ranksim)]


def set_up(name, n_devices=1):
    regularises = name in ("conr", "ranksim")
    config = ObjectiveConfig(name=f"mse+{name}" if regularises else name, block=5)
    objective = objectives.create(config, make_mesh(jax.devices()[:n_devices]), 16)
    params, state = objective.init(jax.random.key(3), 6)

    def value(z, batch):
        return objective.loss(params, state, z, z, batch, None, 0.0)[1][name]

    return params, jax.jit(value), jax.jit(jax.grad(value))


def make(make_batch, seed):
    rng = np.random.default_rng(seed)
    score = rng.choice([-2.3, -0.5, -0.1, 0.3, 0.31, 1.7, 2.5], 24) if seed else rng.normal(size=24)
    score = np.where(np.arange(24) == 3, np.nan, score).astype(np.float32)
    batch = make_batch(24, seed, score=score, mask=np.arange(24) % 7 != 4, row=(np.arange(24) // 2).astype(np.int32))
    return batch, rng.normal(size=(24, 6)).astype(np.float32)


@pytest.mark.parametrize("name", ALL)
def test_equals_the_formula_with_ties_masks_and_unlabeled_rows(name, make_batch):
    params, value, _ = set_up(name, n_devices=2)
    for seed in range(4):
        batch, z = make(make_batch, seed)
        expected = globals()[name](Rows(z, batch, params))
        np.testing.assert_allclose(value(jnp.asarray(z), batch), expected, rtol=1e-5, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", [name for name in ALL if name != "ranksim"])  # ranks have no slope
def test_gradient_equals_finite_differences_of_the_formula(name, make_batch):
    params, _, gradient = set_up(name)
    batch, z = make(make_batch, 1)
    found = gradient(jnp.asarray(z), batch)
    for i, k in ((0, 0), (5, 2), (12, 5)):
        step = np.zeros(z.shape)
        step[i, k] = 1e-6
        up, down = (globals()[name](Rows(z + s, batch, params)) for s in (step, -step))
        slope = (up - down) / 2e-6
        assert float(found[i, k]) == pytest.approx(slope, rel=2e-3, abs=2e-5)


@pytest.mark.parametrize("name", [f.__name__ for f in (*PAIRWISE, ranksim) if f not in (adacon, supcon)])
def test_shifting_all_scores_changes_nothing_where_no_bins_are_cut(name, make_batch):
    _, value, _ = set_up(name)
    batch, z = make(make_batch, 0)
    moved = make_batch(24, 0, **{f: getattr(batch, f) for f in ("mask", "row", "patient")}, score=batch.score + 5)
    np.testing.assert_allclose(value(jnp.asarray(z), moved), value(jnp.asarray(z), batch), rtol=2e-4)


@pytest.mark.parametrize(
    "name", ["supcon", "y_aware", "threshold_kernel", "adacon", "siamese_margin", "simclr", "ranksim"]
)
def test_rotating_the_embedding_changes_nothing(name, make_batch):
    _, value, _ = set_up(name)
    batch, z = make(make_batch, 1)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0].astype(np.float32)
    np.testing.assert_allclose(value(jnp.asarray(z @ rotation), batch), value(jnp.asarray(z), batch), rtol=1e-4)


def test_y_aware_becomes_supcon_as_sigma_goes_to_0_and_scores_are_classes(make_batch, value_of):
    batch = make_batch(16, score=np.tile([-1.9, -0.3, 0.4, 1.8], 4).astype(np.float32))
    z = np.random.default_rng(2).normal(size=(16, 4)).astype(np.float32)
    np.testing.assert_allclose(
        value_of("y_aware", z, batch, sigma=0.01), value_of("supcon", z, batch, bins=100), rtol=1e-5
    )


def test_adacon_without_a_margin_is_supcon(make_batch, value_of):
    batch, z = make_batch(16), np.random.default_rng(3).normal(size=(16, 4)).astype(np.float32)
    without = value_of("adacon", z, batch, adacon_margin=0.0, temperature=0.1)
    np.testing.assert_allclose(without, value_of("supcon", z, batch, temperature=0.1), rtol=1e-6)


def test_the_threshold_kernel_is_at_most_y_aware(make_batch, value_of):
    """Its denominators are parts of the others'."""
    batch, z = (
        make_batch(16, score=np.linspace(-2, 2, 16, dtype=np.float32)),
        np.random.default_rng(4).normal(size=(16, 4)).astype(np.float32),
    )
    assert value_of("threshold_kernel", z, batch) < value_of("y_aware", z, batch)


def test_the_threshold_kernel_with_a_sum_per_row_is_the_one_with_a_sum_per_score(make_batch, value_of, monkeypatch):
    batch, z = make_batch(24), np.random.default_rng(5).normal(size=(24, 4)).astype(np.float32)
    values = []
    for levels in (256, 2):
        monkeypatch.setattr("learner_jax.objectives.by_distance._MOST_LEVELS", levels)
        value_of.forget()
        values.append(float(value_of("threshold_kernel", z, batch)))
    value_of.forget()
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_coral_starts_with_thresholds_in_order():
    params, _, _ = set_up("coral")
    bias = np.asarray(params["thresholds"]["bias"])
    assert len(bias) == BINS - 1
    assert (np.diff(bias) < 0).all(), "so the chance to be above a bin falls from bin to bin"


def test_the_siamese_margin_by_hand(make_batch, value_of):
    batch = make_batch(3, score=np.array([0, 0.2, 3], np.float32), patient=np.arange(3, dtype=np.int32))
    z = np.array([[0, 0], [0, 0.5], [1, 0]], np.float32)
    expected = (0.5**2 + (2 - 1) ** 2 + (2 - np.sqrt(1.25)) ** 2) / 3
    assert float(value_of("siamese_margin", z, batch)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["davidson", "lilac", "lilac_order"])
def test_copies_of_a_scan_are_no_pairs(name, make_batch, value_of):
    """With several augmentations a scan is in the batch more than once: twice everything costs what once does."""
    batch = make_batch(6, patient=np.arange(6, dtype=np.int32))
    twice = make_batch(
        12, **{f: np.tile(np.asarray(getattr(batch, f)), 2) for f in ("score", "patient", "row", "mask")}
    )
    u = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    more = {"lilac_pairs": "all"}
    once, both = value_of(name, u, batch, **more), value_of(name, np.tile(u, (2, 1)), twice, **more)
    assert float(both) == pytest.approx(float(once), rel=1e-5)
