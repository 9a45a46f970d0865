"""How the tests of the objectives call them: by name, on given projections, on any number of devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import objectives
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import make_mesh


@pytest.fixture(scope="session")
def value_of():
    """``value_of(name, z, batch, n_devices=1, u=None, params=None, **fields)``: the value of an objective at ``z``."""
    return _value_of


def _value_of(name, z, batch, n_devices=1, u=None, params=None, **fields):
    u = z if u is None else u
    return _jitted(name, n_devices, tuple(fields.items()))(jnp.asarray(z), jnp.asarray(u), batch, params or {})


@functools.cache
def _jitted(name, n_devices, fields):
    config = ObjectiveConfig(name=name, **dict(fields))
    objective = objectives.create(config, make_mesh(jax.devices()[:n_devices]), n_patients=64)

    @jax.jit
    def value(z, u, batch, params):
        own, state = objective.init(jax.random.key(0), u.shape[1])
        return objective.loss(own | params, state, z, u, batch, None, 0.0)[0]

    return value


@pytest.fixture(scope="session")
def value_and_gradient_of():
    """As ``value_of``, with the gradient at ``z``."""
    return lambda name, z, *args, **fields: jax.value_and_grad(lambda z: _value_of(name, z, *args, **fields))(
        jnp.asarray(z)
    )


_value_of.forget = _jitted.cache_clear


@pytest.fixture(scope="session")
def usable():
    """``usable(batch)``: positions of real labeled rows, as a brute-force oracle walks over them."""
    return lambda batch: [i for i in range(len(batch.mask)) if batch.mask[i] and np.isfinite(batch.score[i])]
