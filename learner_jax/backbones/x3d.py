"""X3D: nets of depthwise convolutions over space and time, with few parameters but much memory traffic.

Feichtenhofer, arXiv 2004.04730, as in pytorchvideo. X3D-S and X3D-M are the same net for clips of different size. Every
stage halves height and width; none touches time. Every other block, beginning with a stage's first, weighs its channels
(Hu et al., squeeze and excitation, arXiv 1709.01507) between the norm and the swish of its depthwise convolution. The
shortcut of the first stage changes size but not width and has no norm. Two more layers after the last stage give the
embedding, the second of them after the mean over space and time.
"""

import functools

from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, kaiming_fan_out
from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.width import multiple_of_8
from learner_jax.backbones.names import Names

PYTORCHVIDEO = Names(
    rules=(
        # pytorchvideo has the names of the stem's convolutions over space and over time the wrong way round
        (r"stem\.space", "blocks.0.conv.conv_t"),
        (r"stem\.time", "blocks.0.conv.conv_xy"),
        (r"stem\.norm", "blocks.0.norm"),
        (r"stage(\d)", r"blocks.\1.res_blocks"),
        (r"shortcut\.", "branch1_"),
        (r"(conv_[abc]|norm_[ac])", r"branch2.\1"),
        (r"norm_b", "branch2.norm_b.0"),
        (r"weigh\.reduce", "branch2.norm_b.1.block.0"),
        (r"weigh\.expand", "branch2.norm_b.1.block.2"),
        (r"head", "blocks.5.pool"),
    ),
    unused=(r"blocks\.5\.proj\..*",),
)


class Stem3D(nnx.Module):
    """A convolution over space, a depthwise one over five frames, a norm."""

    def __init__(self, c_in: int, c_out: int, norm: type, rngs: nnx.Rngs):
        self.space = Conv(c_in, c_out, (1, 3, 3), rngs, stride=(1, 2, 2))
        self.time = Conv(c_out, c_out, (5, 1, 1), rngs, groups=c_out)
        self.norm = norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j d"]:
        return nnx.relu(self.norm(self.time(self.space(x)), mask, train))


class Weigh(nnx.Module):
    """Squeeze and excitation: multiplies each channel by a number in (0, 1) computed from the means of all channels."""

    def __init__(self, channels: int, rngs: nnx.Rngs):
        inner = multiple_of_8(channels / 16)
        self.reduce = Linear(channels, inner, kernel_init=kaiming_fan_out, rngs=rngs)
        self.expand = Linear(inner, channels, kernel_init=kaiming_fan_out, rngs=rngs)

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        return x * nnx.sigmoid(self.expand(nnx.relu(self.reduce(x.mean((1, 2, 3), keepdims=True)))))


class Shortcut(nnx.Module):
    """A 1x1x1 convolution, and a norm where the width changes."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: type, rngs: nnx.Rngs):
        self.conv = Conv(c_in, c_out, (1, 1, 1), rngs, stride=(1, stride, stride))
        self.norm = norm(c_out, rngs) if c_in != c_out else None

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j d"]:
        x = self.conv(x)
        return x if self.norm is None else self.norm(x, mask, train)


class Block(nnx.Module):
    """A depthwise convolution between two 1x1x1 ones, and a shortcut; 2.25 times as wide inside as outside."""

    def __init__(self, c_in: int, c_out: int, stride: int, weighs: bool, norm: type, rngs: nnx.Rngs):
        inner, resized = inside(c_out), stride != 1 or c_in != c_out
        self.conv_a, self.norm_a = Conv(c_in, inner, (1, 1, 1), rngs), norm(inner, rngs)
        self.conv_b = Conv(inner, inner, (3, 3, 3), rngs, stride=(1, stride, stride), groups=inner)
        self.norm_b = norm(inner, rngs)
        self.weigh = Weigh(inner, rngs) if weighs else None
        self.conv_c, self.norm_c = Conv(inner, c_out, (1, 1, 1), rngs), norm(c_out, rngs)
        self.shortcut = Shortcut(c_in, c_out, stride, norm, rngs) if resized else None

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j d"]:
        y = nnx.relu(self.norm_a(self.conv_a(x), mask, train))
        y = self.norm_b(self.conv_b(y), mask, train)
        y = nnx.silu(y if self.weigh is None else self.weigh(y))
        y = self.norm_c(self.conv_c(y), mask, train)
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x, mask, train)))


class Head(nnx.Module):
    """A wider layer, the mean over space and time, and an even wider layer."""

    def __init__(self, c_in: int, dim: int, norm: type, rngs: nnx.Rngs):
        inner = inside(c_in)
        self.pre_conv, self.pre_norm = Conv(c_in, inner, (1, 1, 1), rngs), norm(inner, rngs)
        self.post_conv = Linear(inner, dim, use_bias=False, kernel_init=kaiming_fan_out, rngs=rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b d"]:
        x = nnx.relu(self.pre_norm(self.pre_conv(x), mask, train))
        return nnx.relu(self.post_conv(x.mean((1, 2, 3))))


class X3D(nnx.Module):
    """Stem, stages of blocks, head."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, width: int, blocks: tuple[int, ...], dim: int, norm: str):
        make = NORMS[norm]
        self.stem = Stem3D(shape[-1], width, make, rngs)
        self.stages, c_in = len(blocks), width
        for stage, count in enumerate(blocks):
            layer, c_out = [], width * 2**stage
            for i in range(count):
                layer.append(Block(c_in, c_out, 1 if i else 2, i % 2 == 0, make, rngs))
                c_in = c_out
            setattr(self, f"stage{stage + 1}", Blocks(layer))
        self.head = Head(c_in, dim, make, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.stem(scan, mask, train)
        for stage in range(self.stages):
            for block in getattr(self, f"stage{stage + 1}"):
                x = block(x, mask, train)
        return self.head(x, mask, train)


def inside(width: int) -> int:
    """Channels of a block's depthwise convolution."""
    return int(2.25 * width)


def _variant(name: str, width: int, blocks: tuple[int, ...], dim: int, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(X3D, width=width, blocks=blocks, dim=dim, norm=norm),
        dim=dim,
        takes=Takes(least=(1, 32, 32)),
        names={"pytorchvideo": PYTORCHVIDEO},
        # No norm's mean could absorb a constant, as the convolution over time, cut at the borders, comes in between.
        # But weights trained with equal mean and std in all channels, such as pytorchvideo's, need none.
        stems=(Stem("stem/space/kernel", ""),),
    )


for _name, _width, _blocks, _dim in (
    ("x3d_s", 24, (3, 5, 11, 7), 2048),
    ("x3d_m", 24, (3, 5, 11, 7), 2048),
    ("x3d-test", 8, (2, 1), 32),
):
    backbones.register(_name)(functools.partial(_variant, _name, _width, _blocks, _dim))
