"""Holm's p-values against a known answer and against the rule as stated."""

import numpy as np

from learner_jax.evaluators.statistics.multiple import holm


def test_known_answer():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_rejections_are_those_of_the_step_down_rule():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.random(9) ** 3
        for level in (0.01, 0.05, 0.2):
            rejected, order = np.zeros(9, bool), np.argsort(p)
            for step, at in enumerate(order):
                if p[at] > level / (9 - step):
                    break
                rejected[at] = True
            np.testing.assert_array_equal(holm(p) <= level, rejected)
    assert holm(np.zeros(0)).size == 0
