import numpy as np

from learner_jax.report.arms import alone
from learner_jax.report.loss import loss, running_mean
from learner_jax.report.runs import load


def test_the_running_mean_is_that_of_a_tenth_of_the_points():
    values = np.random.default_rng(0).normal(size=201)
    expected = [np.mean([values[i] for i in range(201) if abs(i - at) <= 10]) for at in range(201)]
    np.testing.assert_allclose(running_mean(values), expected, atol=1e-12)
    np.testing.assert_array_equal(running_mean(np.array([3.0])), [3.0])


def test_lost_steps_leave_a_loss_curve(demo):
    (demo / "mse" / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": null}\n{"step": 3, "loss": 1}\n'
    )
    assert "from 2 to 1" in loss([alone(load(demo / "mse"))]).alt
