"""What a CPU stores it does not compute again: counted in the program that XLA makes."""

import math
import re

import jax
import jax.numpy as jnp
import pytest

from learner_jax.backbones.efficientnet_lite import Stage
from learner_jax.backbones.efficientnet_lite import _variant as efficientnet
from learner_jax.backbones.layers.platform import compiler_options, tracing_for
from learner_jax.backbones.layers.stored import stored
from learner_jax.backbones.resnet2d import Bottleneck
from learner_jax.backbones.resnet2d import _variant as resnet
from learner_jax.batch import BatchSpec

SPEC = BatchSpec(2, 4, 32, 32, 1)
ARITHMETIC = "add|multiply|subtract|maximum|minimum|select|clamp"


def numbers(program: str) -> int:
    """Numbers of activations that the operations of an HLO program compute one by one."""
    found = re.findall(rf" = f32\[([\d,]+)\]\S* (?:{ARITHMETIC})\(", program)
    return sum(size for sides in found if (size := math.prod(map(int, sides.split(",")))) > 1000)


def recomputed(backbone, monkeypatch) -> float:
    """How often XLA's step for one CPU computes each of those numbers."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    variables = jax.eval_shape(lambda key: backbone.init(key, SPEC), jax.random.key(0))
    scan, mask = jax.ShapeDtypeStruct(SPEC.shape, jnp.float32), jax.ShapeDtypeStruct((SPEC.b,), bool)

    def loss(params, stats, scan, mask):
        u, stats = backbone.apply({"params": params, "stats": stats}, scan, mask, train=True)
        return jnp.square(u).mean(), stats

    lowered = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"], variables["stats"], scan, mask)
    compiled = lowered.compile(compiler_options())
    return numbers(compiled.as_text()) / numbers(lowered.as_text(dialect="hlo"))


def test_shortcuts_are_added_up_once(monkeypatch):
    assert recomputed(resnet("deep", Bottleneck, 8, (8,), "none", "batch"), monkeypatch) < 1.5


def test_depthwise_convolutions_are_computed_once(monkeypatch):
    stages = (Stage(3, 1, 1, 8, 1), Stage(5, 2, 6, 16, 3))
    assert recomputed(efficientnet("lite", 8, stages, 16, "none", "batch"), monkeypatch) < 1.5


@pytest.mark.parametrize(("device", "barriers"), [("cpu", 1), ("gpu", 0), ("tpu", 0), ("any", 0)])
def test_only_a_cpu_has_barriers(device, barriers):
    with tracing_for(device):
        trace = jax.make_jaxpr(lambda x: stored(x))(1.0)  # a new function: JAX keeps the traces of the others
    assert [str(eqn.primitive) for eqn in trace.eqns] == ["optimization_barrier"] * barriers
