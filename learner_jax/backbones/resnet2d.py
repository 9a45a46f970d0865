"""ResNet over frames: TSN (frames apart, averaged at the end) and TSM (part of the channels moved along time).

He et al., arXiv 1512.03385; Wang et al. (TSN), arXiv 1608.00859; Lin et al. (TSM), arXiv 1811.08383. The shift sits
before the first convolution of each residual block, so the shortcut keeps every frame's own channels.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, backbones
from learner_jax.backbones.norm import NORMS


def temporal_shift(x: Float[Array, "b t h w c"], fold: int = 8) -> Float[Array, "b t h w c"]:
    """The first ``c // fold`` channels show the next frame, as many after them the one before; zeros past both ends."""
    part = x.shape[-1] // fold
    ends = ((0, 0), (0, 1), (0, 0), (0, 0), (0, 0)), ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0))
    return jnp.concatenate(
        [
            jnp.pad(x[:, 1:, ..., :part], ends[0]),
            jnp.pad(x[:, :-1, ..., part : 2 * part], ends[1]),
            x[..., 2 * part :],
        ],
        axis=-1,
    )


def max_pool(x: Float[Array, "b t h w c"], axis: int) -> Float[Array, "b t i j c"]:
    """Largest of 3 neighbours along one axis, stride 2, padded by 1: half of a separable 3x3 max-pool.

    The gradient of ``reduce_window`` scatters, which on a CPU takes 4 times as long as these selects (102 against 26 ms
    for 256 frames of 32x32x16, November 2026). Among equal largest values the gradient is shared.
    """
    size = (x.shape[axis] - 1) // 2 + 1
    pad = [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)]
    padded = jnp.pad(x, pad, constant_values=-jnp.inf)
    taps = [jax.lax.slice_in_dim(padded, k, k + 2 * size - 1, 2, axis) for k in range(3)]
    return jnp.maximum(jnp.maximum(taps[0], taps[1]), taps[2])


def _conv(c_in: int, c_out: int, kernel: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    pad = kernel // 2  # symmetric, as the reference; SAME would pad one side more at stride 2
    init = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
    return nnx.Conv(
        c_in, c_out, (kernel, kernel), strides=stride, padding=pad, use_bias=False, kernel_init=init, rngs=rngs
    )


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: type, shift: bool, rngs: nnx.Rngs):
        self.conv1, self.norm1 = _conv(c_in, c_out, 3, stride, rngs), norm(c_out, rngs)
        self.conv2, self.norm2 = _conv(c_out, c_out, 3, 1, rngs), norm(c_out, rngs)
        self.project = stride != 1 or c_in != c_out
        if self.project:
            self.conv0, self.norm0 = _conv(c_in, c_out, 1, stride, rngs), norm(c_out, rngs)
        self.shift = shift

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j k"]:
        y = temporal_shift(x) if self.shift else x
        y = nnx.relu(self.norm1(self.conv1(y), mask, train))
        y = self.norm2(self.conv2(y), mask, train)
        if self.project:
            x = self.norm0(self.conv0(x), mask, train)
        return nnx.relu(x + y)


class ResNet(nnx.Module):
    """Stem, four stages of residual blocks, mean over space and time."""

    def __init__(self, channels: int, rngs: nnx.Rngs, *, width: int, blocks: tuple[int, ...], norm: str, shift: bool):
        self.conv1, self.norm1 = _conv(channels, width, 7, 2, rngs), NORMS[norm](width, rngs)
        self.names = []
        c_in = width
        for stage, count in enumerate(blocks):
            for i in range(count):
                c_out, stride = width * 2**stage, 2 if stage and not i else 1
                name = f"layer{stage + 1}_{i}"
                setattr(self, name, BasicBlock(c_in, c_out, stride, NORMS[norm], shift, rngs))
                self.names.append(name)
                c_in = c_out
        self.names = tuple(self.names)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = nnx.relu(self.norm1(self.conv1(scan), mask, train))
        x = max_pool(max_pool(x, axis=2), axis=3)
        for name in self.names:
            x = getattr(self, name)(x, mask, train)
        return x.mean((1, 2, 3))


def _variant(width: int, blocks: tuple[int, ...], shift: bool, name: str, norm: str) -> Backbone:
    build = functools.partial(ResNet, width=width, blocks=blocks, norm=norm, shift=shift)
    return Backbone(name, build, dim=width * 2 ** (len(blocks) - 1))


for _name, _width, _blocks, _shift in (
    ("tsm_resnet18", 64, (2, 2, 2, 2), True),
    ("tsn_resnet18", 64, (2, 2, 2, 2), False),
    ("tsm_resnet18_narrow", 16, (2, 2, 2, 2), True),  # for CPUs: 1/16 of the multiply-adds
    ("tsm_resnet18_test", 8, (1, 1), True),
):
    backbones.register(_name)(functools.partial(_variant, _width, _blocks, _shift, _name))
