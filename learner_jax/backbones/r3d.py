"""Residual nets of 3-D convolutions: R3D, and R(2+1)D, which convolves over space and then over time.

Tran et al., arXiv 1711.11248, as in torchvision. The stem keeps every frame, and nothing is pooled before the end; each
stage but the first halves time, height and width. The width between the two convolutions of R(2+1)D is such that they
have as many parameters as the 3-D one; torchvision uses the width of a block's first convolution for its second too,
and 45 channels in the stem.
"""

import functools

from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.names import Names

R3D = Names(
    rules=((r"\.(conv|space)\.", ".0."), (r"\.(norm|between)\.", ".1."), (r"\.time\.", ".3.")),
    unused=(r"fc\..*",),
)
R2PLUS1D = Names(
    rules=((r"stem\.norm", "stem.4"), (r"(conv\d)\.(space|between|time)", r"\1.0.\2"), *R3D.rules),
    unused=R3D.unused,
)


class Whole(nnx.Module):
    """One convolution over space and time, and a norm."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        rngs: nnx.Rngs,
        norm: type,
        kernel: tuple[int, int, int] = (3, 3, 3),
        stride: tuple[int, int, int] = (1, 1, 1),
        width: int = 0,
    ):
        self.conv, self.norm = Conv(c_in, c_out, kernel, rngs, stride=stride), norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        return self.norm(self.conv(x), mask, train)


class Factored(nnx.Module):
    """A convolution over space to ``width`` channels, a norm and a ReLU, then a convolution over time, and a norm."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        rngs: nnx.Rngs,
        norm: type,
        kernel: tuple[int, int, int] = (3, 3, 3),
        stride: tuple[int, int, int] = (1, 1, 1),
        width: int = 0,
    ):
        self.space = Conv(c_in, width, (1, *kernel[1:]), rngs, stride=(1, *stride[1:]))
        self.between = norm(width, rngs)
        self.time = Conv(width, c_out, (kernel[0], 1, 1), rngs, stride=(stride[0], 1, 1))
        self.norm = norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        x = nnx.relu(self.between(self.space(x), mask, train))
        return self.norm(self.time(x), mask, train)


class Block(nnx.Module):
    """Two convolutions of 3x3x3 and a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int, unit: type, norm: type, rngs: nnx.Rngs):
        width = 27 * c_in * c_out // (9 * c_in + 3 * c_out)
        strides, resized = (stride, stride, stride), stride != 1 or c_in != c_out
        self.conv1 = unit(c_in, c_out, rngs, norm, stride=strides, width=width)
        self.conv2 = unit(c_out, c_out, rngs, norm, width=width)
        self.downsample = Whole(c_in, c_out, rngs, norm, (1, 1, 1), strides) if resized else None

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        y = nnx.relu(self.conv1(x, mask, train))
        y = self.conv2(y, mask, train)
        return nnx.relu(y + (x if self.downsample is None else self.downsample(x, mask, train)))


class VideoResNet(nnx.Module):
    """Stem, stages of blocks, mean over space and time."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, unit: type, width: int, blocks: tuple[int, ...], norm: str):
        make = NORMS[norm]
        self.stem = unit(shape[-1], width, rngs, make, (3, 7, 7), (1, 2, 2), width=45 * width // 64)
        self.stages, c_in = len(blocks), width
        for stage, count in enumerate(blocks):
            layer, c_out = [], width * 2**stage
            for i in range(count):
                layer.append(Block(c_in, c_out, 2 if stage and not i else 1, unit, make, rngs))
                c_in = c_out
            setattr(self, f"layer{stage + 1}", Blocks(layer))

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = nnx.relu(self.stem(scan, mask, train))
        for stage in range(self.stages):
            for block in getattr(self, f"layer{stage + 1}"):
                x = block(x, mask, train)
        return x.mean((1, 2, 3))


def _variant(name: str, unit: type, width: int, blocks: tuple[int, ...], norm: str) -> Backbone:
    factored = unit is Factored
    return Backbone(
        name,
        functools.partial(VideoResNet, unit=unit, width=width, blocks=blocks, norm=norm),
        dim=width * 2 ** (len(blocks) - 1),
        takes=Takes(least=(1, 16, 16)),
        names={"torchvision": R2PLUS1D if factored else R3D},
        stems=(
            Stem("stem/space/kernel", "stem/between/mean") if factored else Stem("stem/conv/kernel", "stem/norm/mean"),
        ),
    )


for _name, _unit, _width, _blocks in (
    ("r3d18", Whole, 64, (2, 2, 2, 2)),
    ("r2plus1d18", Factored, 64, (2, 2, 2, 2)),
    ("r3d18-test", Whole, 8, (1, 1)),
    ("r2plus1d18-test", Factored, 8, (1, 1)),
):
    backbones.register(_name)(functools.partial(_variant, _name, _unit, _width, _blocks))
