"""The regressions against numpy, with padding and unlabeled rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

COSTS = {
    "mse": np.square,
    "l1": np.abs,
    "huber": lambda e: np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5),
}


@pytest.mark.parametrize("name", COSTS)
def test_equals_the_mean_over_labeled_rows(name, make_batch, value_of):
    rng = np.random.default_rng(0)
    score = np.where(np.arange(16) == 2, np.nan, 2 * rng.normal(size=16)).astype(np.float32)
    b = make_batch(mask=np.arange(16) % 4 != 1, score=score)
    u, kernel = rng.normal(size=(16, 5)).astype(np.float32), rng.normal(size=(5, 1)).astype(np.float32)
    keep = b.mask & np.isfinite(b.score)
    expected = np.mean(COSTS[name](u[keep] @ kernel[:, 0] + 0.5 - b.score[keep]))
    head = {"head": {"kernel": jnp.asarray(kernel), "bias": jnp.full(1, 0.5)}}
    value, gradient = jax.value_and_grad(lambda u: value_of(name, u, b, params=head))(jnp.asarray(u))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[~keep].any()
