"""Every formulation of a convolution against the definition, and the definition against sums written out."""

import dataclasses
import itertools
import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend.core import jaxprs_in_params

from learner_jax.backbones.layers import depthwise_on_cpu
from learner_jax.backbones.layers.conv import Conv, convolve, definition
from learner_jax.backbones.layers.platform import compiler_options, tracing_for

AS_IN_A_RUN = compiler_options()


@dataclasses.dataclass(frozen=True)
class Case:
    """A convolution of ``[2 *size c]`` with a kernel ``[*window c/groups d]``."""

    size: tuple[int, ...]
    c: int
    window: tuple[int, ...]
    d: int
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    groups: int = 1

    def __str__(self) -> str:
        sides = [f"{n}by{k}s{s}" for n, k, s in zip(self.size, self.window, self.stride, strict=True)]
        padding = self.padding if isinstance(self.padding, str) else "p" + "".join(map(str, self.padding))
        return "-".join([*sides, padding, f"{self.c}to{self.d}in{self.groups}"])

    @property
    def pads(self):
        """Before and after each side; with SAME as TensorFlow's guide to convolution has it."""
        if self.padding != "SAME":
            return tuple((p, p) for p in self.padding)
        sides = zip(self.size, self.window, self.stride, strict=True)
        both = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in sides]
        return tuple((p // 2, p - p // 2) for p in both)

    @property
    def how(self):
        return {"stride": self.stride, "padding": self.padding, "groups": self.groups}

    def operands(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(2, *self.size, self.c))
        kernel = rng.normal(size=(*self.window, self.c // self.groups, self.d))
        return jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)


FRAMES = [
    Case((6, 7), 3, (3, 3), 5, (1, 1), (1, 1)),
    Case((6, 7), 3, (3, 3), 5, (2, 1), (1, 0)),
    Case((6, 7), 3, (3, 3), 5, (1, 2), "SAME"),
    Case((6, 7), 3, (2, 5), 5, (2, 2), "SAME"),
    Case((9, 8), 1, (7, 7), 4, (2, 2), (3, 3)),
    Case((6, 7), 2, (3, 3), 30, (2, 2), (1, 1)),  # more channels out than numbers under the kernel
]
GROUPED = [
    Case((6, 7), 4, (3, 3), 6, (2, 1), (1, 1), groups=2),
    Case((6, 7), 3, (3, 3), 6, (1, 1), "SAME", groups=3),  # two kernels for each channel
]
DEPTHWISE = [
    Case((6, 7), 4, (3, 3), 4, (2, 1), (1, 0), groups=4),
    Case((6, 7), 4, (3, 5), 4, (2, 2), "SAME", groups=4),
    Case((9, 8), 4, (5, 5), 4, (1, 1), (2, 2), groups=4),
    Case((11, 9), 4, (2, 3), 4, (3, 2), (0, 1), groups=4),  # rows between the kernels are not seen
    Case((4, 5, 6), 4, (1, 1, 1), 4, (1, 2, 1), (0, 0, 0), groups=4),
    Case((6, 7), 1, (3, 3), 1, (2, 2), (1, 1)),  # one channel is a depthwise convolution of it
]
DEPTHWISE_VOLUMES = [
    Case((4, 5, 6), 4, (3, 3, 3), 4, (1, 2, 2), (1, 1, 1), groups=4),
    Case((5, 4, 6), 4, (2, 3, 3), 4, (2, 1, 2), "SAME", groups=4),
    Case((4, 5, 6), 4, (5, 1, 1), 4, (1, 1, 1), (2, 0, 0), groups=4),
]
VOLUMES = [  # of so few channels that a GPU too takes their frames as channels
    Case((4, 5, 6), 3, (3, 3, 3), 5, (1, 1, 1), (1, 1, 1)),
    Case((5, 6, 5), 3, (3, 3, 3), 5, (2, 1, 2), (1, 0, 1)),
    Case((5, 6, 5), 3, (3, 3, 3), 5, (2, 2, 1), "SAME"),
    Case((6, 5, 4), 3, (2, 4, 3), 5, (2, 1, 2), "SAME"),
]
THICK_VOLUMES = [Case((4, 5, 6), 5, (3, 3, 3), 3, (2, 1, 1), (1, 1, 1))]
ALONG_FRAMES = [  # what is left of them, frames being channels, is a product
    Case((6, 4, 4), 1, (3, 4, 4), 5, (2, 4, 4), (1, 0, 0)),
    Case((6, 3, 3), 3, (3, 1, 1), 5, (2, 1, 1), (1, 0, 0)),
]
THICK_ALONG_FRAMES = [Case((6, 3, 3), 6, (3, 1, 1), 5, (2, 1, 1), (1, 0, 0))]
GROUPED_VOLUMES = [Case((4, 5, 6), 4, (3, 3, 3), 6, (1, 2, 1), (1, 1, 1), groups=2)]
ONE_FRAME = [
    Case((4, 5, 6), 3, (1, 3, 3), 5, (1, 2, 2), (0, 1, 1)),
    Case((5, 5, 6), 3, (1, 3, 3), 5, (2, 1, 2), "SAME"),
    Case((4, 5, 6), 4, (1, 3, 3), 6, (2, 1, 1), (0, 1, 1), groups=2),
    Case((4, 5, 6), 3, (1, 3, 3), 5, (1, 1, 1), (1, 1, 1)),  # and frames of padding
]
SMALLER_THAN_THE_KERNEL = [
    Case((2, 2), 3, (3, 3), 5, (1, 1), (1, 1)),
    Case((2, 3), 3, (3, 5), 5, (2, 1), (1, 2)),
    Case((2, 1), 3, (3, 2), 5, (1, 1), "SAME"),
    Case((3, 2, 2), 3, (3, 3, 3), 5, (1, 1, 1), (1, 1, 1)),
]
PATCHES = [
    Case((8, 8), 3, (4, 4), 5, (4, 4), (0, 0)),
    Case((9, 8), 3, (4, 4), 5, (4, 4), (0, 0)),  # a row is left over
    Case((5, 4, 6), 2, (2, 4, 3), 5, (2, 4, 3), (0, 0, 0)),
    Case((6, 7), 3, (1, 1), 5, (1, 1), (0, 0)),
    Case((6, 7), 3, (1, 1), 5, (2, 2), "SAME"),
    Case((5, 4, 6), 3, (1, 1, 1), 5, (2, 1, 2), (0, 0, 0)),
]
ONE_PIXEL = [  # of padding too, or of groups: no product of matrices
    Case((6, 7), 3, (1, 1), 5, (2, 2), (1, 1)),
    Case((6, 7), 4, (1, 1), 6, (1, 2), (0, 0), groups=2),
]
FORMULATIONS = [  # on a CPU, on a GPU, on a TPU
    (FRAMES, {"2 axes"}, {"2 axes"}, {"2 axes"}),
    (GROUPED, {"2 axes"}, {"2 axes"}, {"2 axes"}),
    (DEPTHWISE, set(), {"2 axes"}, {"2 axes"}),
    (DEPTHWISE_VOLUMES, set(), {"3 axes"}, {"3 axes"}),
    (VOLUMES, {"2 axes"}, {"2 axes"}, {"2 axes"}),
    (THICK_VOLUMES, {"2 axes"}, {"3 axes"}, {"3 axes"}),
    (ALONG_FRAMES, {"product"}, {"product"}, {"product"}),
    (THICK_ALONG_FRAMES, {"product"}, {"3 axes"}, {"3 axes"}),
    (GROUPED_VOLUMES, {"3 axes"}, {"3 axes"}, {"3 axes"}),
    (ONE_FRAME, {"2 axes"}, {"2 axes"}, {"2 axes"}),
    (SMALLER_THAN_THE_KERNEL[:3], {"product"}, {"2 axes"}, {"2 axes"}),
    (SMALLER_THAN_THE_KERNEL[3:], {"product"}, {"2 axes"}, {"2 axes"}),
    (PATCHES, {"product"}, {"product"}, {"product"}),
    (ONE_PIXEL, {"2 axes"}, {"2 axes"}, {"2 axes"}),
]
ALL = [case for cases, *_ in FORMULATIONS for case in cases]


def slope(y):
    """Of a loss with the result ``y``: what its gradients are made of."""
    return jnp.asarray(np.random.default_rng(1).normal(size=y.shape), y.dtype)


def values_and_gradients(convolution, case):
    """The result, and the gradients of pixels and kernel."""

    def both(x, kernel):
        y, pull = jax.vjp(convolution, x, kernel)
        return y, *pull(slope(y))

    return jax.jit(both, compiler_options=AS_IN_A_RUN)(*case.operands())


@cache
def expected(case):
    return values_and_gradients(partial(definition, stride=case.stride, pads=case.pads, groups=case.groups), case)


def same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())


@pytest.fixture
def one_device(monkeypatch):
    """As where a process has one device: the gradient of a depthwise kernel is then added picture by picture."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)


@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("device", ["cpu", "gpu", "tpu"])
def test_values_and_gradients_are_those_of_the_definition(case, device, one_device):
    with tracing_for(device):
        found = values_and_gradients(partial(convolve, **case.how), case)
    same(found, expected(case))


@pytest.mark.parametrize("numbers", [1, 100])
@pytest.mark.parametrize("case", [*DEPTHWISE, *DEPTHWISE_VOLUMES], ids=str)
def test_the_gradient_of_a_depthwise_kernel_does_not_depend_on_strips(case, numbers, one_device, monkeypatch):
    monkeypatch.setattr(depthwise_on_cpu, "_STRIP", numbers)
    with tracing_for("cpu"):
        same(values_and_gradients(partial(convolve, **case.how), case), expected(case))


@pytest.mark.parametrize("case", [DEPTHWISE[0], DEPTHWISE_VOLUMES[0]], ids=str)
def test_on_several_devices_no_loop_over_pictures_is_traced_and_gradients_stay(case, monkeypatch):
    def loops():
        def gradients(x, k):  # a new function each time: JAX keeps the trace of an old one
            return jax.vjp(partial(convolve, **case.how), x, k)[1](expected(case)[0])

        return "scan" in str(jax.make_jaxpr(gradients)(*case.operands()))

    with tracing_for("cpu"):
        assert not loops(), "the suite has 8 devices"
        same(values_and_gradients(partial(convolve, **case.how), case), expected(case))
        monkeypatch.setattr(jax, "device_count", lambda: 1)
        assert loops()


@pytest.mark.parametrize(("cases", "cpu", "gpu", "tpu"), FORMULATIONS)
def test_each_kind_of_kernel_takes_its_formulation(cases, cpu, gpu, tpu):
    def kinds(jaxpr):
        for eqn in jaxpr.eqns:
            if eqn.primitive.name == "conv_general_dilated":
                yield f"{eqn.invars[0].aval.ndim - 2} axes"
            elif eqn.primitive.name == "dot_general":
                yield "product"
            for inner in jaxprs_in_params(eqn.params):
                yield from kinds(inner)

    for case in cases:
        for device, wanted in [("cpu", cpu), ("gpu", gpu), ("tpu", tpu)]:
            with tracing_for(device):
                traced = jax.make_jaxpr(partial(convolve, **case.how))(*case.operands())
            assert set(kinds(traced.jaxpr)) == wanted, (case, device)


@pytest.mark.parametrize(
    "case",
    [
        Case((5, 6), 4, (3, 2), 6, (2, 1), (1, 1), groups=2),
        Case((3, 4, 5), 2, (2, 3, 3), 3, (1, 2, 2), (1, 1, 0)),
        Case((7,), 3, (3,), 3, (2,), (1,), groups=3),
    ],
    ids=str,
)
def test_the_definition_is_the_sum_over_the_window(case):
    x, kernel = (np.asarray(a, np.float64) for a in case.operands())
    padded = np.pad(x, ((0, 0), *case.pads, (0, 0)))
    y = np.asarray(definition(*case.operands(), case.stride, case.pads, case.groups))
    ours, theirs = case.c // case.groups, case.d // case.groups
    for *place, out in itertools.product(*map(range, y.shape[1:])):
        corner = [p * s for p, s in zip(place, case.stride, strict=True)]
        seen = padded[(slice(None), *(slice(a, a + k) for a, k in zip(corner, case.window, strict=True)))]
        group = out // theirs
        wanted = (seen[..., group * ours : (group + 1) * ours] * kernel[..., out]).reshape(len(x), -1).sum(1)
        np.testing.assert_allclose(y[(slice(None), *place, out)], wanted, rtol=0, atol=1e-5)


def test_a_layer_adds_its_bias_and_takes_frames_one_by_one():
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 7, 4)).astype(np.float32)
    conv = Conv(4, 5, (3, 3), nnx.Rngs(0), stride=2, use_bias=True)
    conv.bias[...] = jnp.arange(5.0)
    y = conv(jnp.asarray(x))
    for i, j in itertools.product(range(2), range(3)):
        alone = definition(jnp.asarray(x[i : i + 1, j]), conv.kernel[...], (2, 2), ((1, 1), (1, 1))) + jnp.arange(5.0)
        np.testing.assert_allclose(y[i, j], alone[0], rtol=0, atol=1e-5)


def test_in_bfloat16_the_gradient_of_a_bias_counts_all_places():
    conv = Conv(1, 4, (1, 1), rngs=nnx.Rngs(0), use_bias=True)
    graph, params = nnx.split(conv)
    scan = jnp.ones((8, 4, 32, 32, 1), jnp.bfloat16)
    loss = lambda params: nnx.merge(graph, params)(scan).astype(jnp.float32).sum()  # noqa: E731
    got = jax.jit(jax.grad(loss), compiler_options=compiler_options())(params)
    np.testing.assert_allclose(got["bias"][...], 8 * 4 * 32 * 32, rtol=1e-2)
