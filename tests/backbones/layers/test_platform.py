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
