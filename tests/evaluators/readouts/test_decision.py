"""Thresholds and probabilities against brute force, and a simulated probit whose truth is known."""

import itertools

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from learner_jax.evaluators.readouts import decision
from learner_jax.evaluators.readouts.decision import fit_decision, logit_temperature, probit


def simulated(cut, temperature, n=40_000, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    delta = spread * rng.normal(size=n)
    # P(up) = Φ((delta - cut) / temperature), P(down) = Φ((-delta - cut) / temperature)
    said = delta + temperature * rng.normal(size=n)
    return delta, np.where(said > cut, 1, np.where(said < -cut, -1, 0))


def nll(delta, change, cut, temperature):
    up, down = norm.cdf((delta - cut) / temperature), norm.cdf((-delta - cut) / temperature)
    return -np.mean(np.log(np.stack([down, 1 - up - down, up])[change + 1, np.arange(len(delta))]))


@pytest.mark.parametrize(("cut", "temperature", "spread"), [(0.5, 0.8, 1.0), (12.0, 5.0, 30.0), (2e-3, 4e-3, 1e-2)])
def test_a_known_probit_is_recovered(cut, temperature, spread):
    delta, change = simulated(cut, temperature, spread=spread)
    found_cut, found_temperature = probit(delta, change)
    assert found_cut == pytest.approx(cut, rel=0.05)
    assert found_temperature == pytest.approx(temperature, rel=0.05)


def test_no_point_of_a_fine_grid_is_likelier():
    delta, change = simulated(0.7, 0.9, n=60, seed=1)
    cut, temperature = probit(delta, change)
    best = nll(delta, change, cut, temperature)
    grid = itertools.product(np.linspace(0.1, 2, 60), np.geomspace(0.4, 10, 60))
    assert best <= min(nll(delta, change, *point) for point in grid)
    for factor in (0.99, 1.01):
        assert nll(delta, change, cut * factor, temperature) > best
        assert nll(delta, change, cut, temperature * factor) > best


CASES = {
    "separable": ([-2.0, -1.0, 0.1, 1.0, 3.0], [-1, -1, 0, 1, 1]),
    "reversed": ([-2.0, -1.0, 0.1, 1.0, 3.0], [1, 1, 0, -1, -1]),
    "no increase": ([-2.0, -1.0, 0.1, 0.3, -0.5], [-1, -1, 0, 0, 0]),
    "all stable": ([-2.0, 1.0, 0.3], [0, 0, 0]),
    "none stable": ([-2.0, 1.0, 0.3], [-1, 1, -1]),
    "one pair": ([0.7], [1]),
    "one stable": ([0.7], [0]),
    "no delta": ([0.0, 0.0, 0.0], [0, 1, -1]),
    "equal deltas": ([1e6, 1e6], [0, 1]),
    "tiny": ([1e-12, -3e-12], [1, -1]),
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_validation_holds_the_probabilities_are_finite(case):
    delta, change = map(np.array, CASES[case])
    found = fit_decision(delta, None, change, 1.0, True)
    scale = np.sqrt(np.mean(delta**2)) or 1
    assert 1e-3 * scale * 0.999 <= found.temperature <= 1e3 * scale * 1.001
    assert found.cut >= 0
    everywhere = np.concatenate([delta, [0, 1e9, -1e9, 1e-9]])
    probability = found.probability(everywhere, None)
    assert np.isfinite(probability).all()
    assert (probability >= 0).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(found.probability(-everywhere, None), probability[:, ::-1])
    likely = probability[np.arange(len(change)), change + 1]
    shares = np.array([(change != 0).mean() / 2, (change == 0).mean(), (change != 0).mean() / 2])
    assert np.log(likely).mean() >= np.log(shares[change + 1]).mean() - 1e-2  # at least as good as knowing no delta


def test_gradient_is_that_of_finite_differences():
    delta, change = simulated(0.5, 0.8, n=50)
    at = np.array([0.6, 1.3])
    gradient = decision._probit_cost(at, delta, change)[1]
    for i, step in enumerate(np.eye(2) * 1e-6):
        up, down = (decision._probit_cost(at + sign * step, delta, change)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-6)


def test_temperature_of_logits_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40_000, 3)) * 2
    truth = np.array([rng.multinomial(1, p) for p in np.exp(log_softmax(logits / 1.7, axis=1))]).argmax(axis=1) - 1
    assert logit_temperature(logits, truth) == pytest.approx(1.7, rel=0.03)

    def cost(temperature):
        return -log_softmax(logits[:300] / temperature, axis=1)[np.arange(300), truth[:300] + 1].mean()

    assert cost(logit_temperature(logits[:300], truth[:300])) <= min(map(cost, np.geomspace(0.01, 100, 500))) + 1e-9


def test_temperature_of_logits_that_say_nothing_is_1():
    assert logit_temperature(np.zeros((5, 3)), np.array([0, 1, -1, 0, 1])) == 1
    sure = np.array([[9.0, 0, 0], [0, 0, 9.0]])
    assert 0.01 <= logit_temperature(sure, np.array([-1, 1])) <= 100
    assert 0.01 <= logit_temperature(sure, np.array([1, -1])) <= 100.001


def test_ties_of_logits_are_stable():
    found = fit_decision(None, np.zeros((0, 3)), np.zeros(0, int), 1.0, False)
    logits = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [2, 1, 0], [0, 1, 2], [0, 2, 1], [0, 0, 0]], float)
    np.testing.assert_array_equal(found.change(None, logits), [0, 0, 0, -1, 1, 0, 0])
    assert found.threshold is None
    assert found.temperature == 1


def test_sentences_name_the_pairs():
    found = fit_decision(*simulated(0.5, 0.8, n=1234)[:1], None, simulated(0.5, 0.8, n=1234)[1], 0.5, True)
    assert found.threshold_source == "highest macro-F1 on 1,234 validation fine pairs"
    assert found.temperature_source == "maximum likelihood on 1,234 validation fine pairs"
