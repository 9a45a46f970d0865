"""What XLA is told of a kind of device is known to the XLA that is installed; `make tpu-compile` asks that of TPUs."""

import jax
import jax.numpy as jnp
import pytest

from learner_jax.backbones.layers.platform import compiler_options, platform, tracing_for


def test_tracing_for_another_device_ends_with_its_block():
    assert platform() == jax.default_backend() == "cpu"
    with tracing_for("tpu"):
        assert platform() == "tpu"
    assert platform() == "cpu"


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_installed_compiler_knows_each_option(device):
    with tracing_for(device):
        options = compiler_options()
    assert options
    assert jax.jit(jnp.sin, compiler_options=options)(0.0) == 0.0
    with pytest.raises(Exception, match="No such compile option"):
        jax.jit(jnp.sin, compiler_options={**options, "xla_gpu_never_heard_of": True})(0.0)


@pytest.mark.parametrize("n", [4, 1000])
def test_a_small_loop_may_hold_a_barrier_of_two_arrays(n):
    """As the loop over pictures of a depthwise kernel's gradient does, and any with a checkpoint in it. Where XLA does
    not know what to do with it, it ends the process."""

    def body(total, pair):
        a, b = jax.lax.optimization_barrier((pair, 2 * pair))
        return jax.grad(lambda x: jax.checkpoint(lambda x: jnp.sin(jnp.sin(x)))(x).sum())(total + a + b), None

    def looped(x):
        return jax.lax.scan(body, jnp.zeros(n), x)[0]

    x = jnp.linspace(0, 1, 8 * n).reshape(8, n)
    compiled = jax.jit(looped, compiler_options=compiler_options())(x)
    expected = jnp.zeros(n)
    for row in x:
        expected = jnp.cos(jnp.sin(expected + 3 * row)) * jnp.cos(expected + 3 * row)
    assert jnp.allclose(compiled, expected, atol=1e-5)
