"""The squared error against numpy, with padding and unlabeled rows."""

import jax.numpy as jnp
import numpy as np

from learner_jax.objectives.regression import squared_error


def test_equals_the_mean_over_labeled_rows(make_batch):
    rng = np.random.default_rng(0)
    b = make_batch(
        mask=np.arange(16) % 4 != 1, score=np.where(np.arange(16) == 2, np.nan, rng.normal(size=16)).astype(np.float32)
    )
    u, kernel = rng.normal(size=(16, 5)).astype(np.float32), rng.normal(size=(5, 1)).astype(np.float32)
    keep = b.mask & np.isfinite(b.score)
    expected = np.mean((u[keep] @ kernel[:, 0] + 0.5 - b.score[keep]) ** 2)
    got = squared_error({"kernel": jnp.asarray(kernel), "bias": jnp.full(1, 0.5)}, jnp.asarray(u), b)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_no_labeled_row_costs_nothing(make_batch):
    b = make_batch(score=np.full(16, np.nan, np.float32))
    assert float(squared_error({"kernel": jnp.ones((5, 1)), "bias": jnp.ones(1)}, jnp.ones((16, 5)), b)) == 0
