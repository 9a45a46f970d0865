"""Tiny backbones on a GPU beside themselves on a CPU, whose numbers are held to PyTorch's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones.api import backbones as registry
from learner_jax.backbones.layers import attention as module
from learner_jax.backbones.layers.platform import tracing_for
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.gpu
SPEC = BatchSpec(4, 4, 32, 32, 1)


@pytest.fixture(scope="module")
def gpu():
    try:
        return jax.devices("gpu")[0]
    except RuntimeError:
        pytest.skip("no GPU here")


@pytest.mark.parametrize("name", [name for name in registry.list() if name.endswith("-test")])
def test_a_step_gives_what_it_gives_on_a_cpu(name, gpu):
    backbone = backbones.create(name)
    scan = np.random.default_rng(0).normal(size=SPEC.shape).astype(np.float32)
    found = {}
    for platform, device in (("cpu", jax.devices("cpu")[0]), ("gpu", gpu)):
        with jax.default_device(device), jax.default_matmul_precision("highest"), tracing_for(platform):

            def loss(params, stats, scan):
                u, stats = backbone.apply({"params": params, "stats": stats}, scan, jnp.ones(SPEC.b, bool), train=True)
                return jnp.sin(u).sum(), (u, stats)

            with jax.default_device(jax.devices("cpu")[0]):
                variables = jax.jit(functools.partial(backbone.init, spec=SPEC))(jax.random.key(0))
            variables, x = jax.device_put((variables, scan), device)
            step = jax.jit(jax.value_and_grad(loss, has_aux=True))
            (_, (u, stats)), gradient = step(variables["params"], variables["stats"], x)
            found[platform] = jax.device_get((u, stats, gradient))
    # one activation on the other side of a ReLU's edge moves a gradient by far more than rounding
    for bound, ours, theirs in zip((1e-4, 1e-4, 1e-2), found["gpu"], found["cpu"], strict=True):
        largest = max((np.abs(leaf).max() for leaf in jax.tree.leaves(theirs)), default=0.0)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=bound * largest)


def test_cudnn_attends_as_xla_does(gpu):
    rng = np.random.default_rng(0)
    q, k, v = (jax.device_put(jnp.asarray(rng.normal(size=(2, 64, 4, 64)), jnp.bfloat16), gpu) for _ in range(3))
    assert module._why_not_cudnn(q, None) is None

    def both(implementation):
        u, pull = jax.vjp(lambda *qkv: module.fused_attention(*qkv, None, implementation=implementation), q, k, v)
        return u, *pull(jnp.ones_like(u))

    for a, b in zip(both("cudnn"), both("xla"), strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=0.02, atol=0.02)
