"""ResNet over frames: TSN (frames separate, averaged at the end) and TSM (some channels shifted along time).

He et al., arXiv 1512.03385; Wang et al. (TSN), arXiv 1608.00859; Lin et al. (TSM), arXiv 1811.08383. The shift comes
before the first convolution of each residual block, so the shortcut keeps every frame's own channels. The stride of a
bottleneck is in its 3x3 convolution, as in torchvision, which also names the parameters.
"""

import functools

from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.layers.shift import convolve_shifted
from learner_jax.backbones.names import Names

TORCHVISION = Names(
    rules=((r"downsample\.conv", "downsample.0"), (r"downsample\.norm", "downsample.1"), (r"norm(\d)", r"bn\1")),
    unused=(r"fc\..*",),
)


class Downsample(nnx.Module):
    """The shortcut of a block that changes size or width: a 1x1 convolution and a norm."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: type, rngs: nnx.Rngs):
        self.conv, self.norm = Conv(c_in, c_out, (1, 1), rngs, stride=stride), norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j k"]:
        return self.norm(self.conv(x), mask, train)


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    widening = 1

    def __init__(self, c_in: int, width: int, stride: int, norm: type, shift: str, rngs: nnx.Rngs):
        self.conv1, self.norm1 = Conv(c_in, width, (3, 3), rngs, stride=stride), norm(width, rngs)
        self.conv2, self.norm2 = Conv(width, width, (3, 3), rngs), norm(width, rngs)
        self.downsample = Downsample(c_in, width, stride, norm, rngs) if stride != 1 or c_in != width else None
        self.shift = shift

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j k"]:
        y = nnx.relu(self.norm1(convolve_shifted(self.conv1, x, self.shift), mask, train))
        y = self.norm2(self.conv2(y), mask, train)
        return nnx.relu(y + (x if self.downsample is None else self.downsample(x, mask, train)))


class Bottleneck(nnx.Module):
    """A 3x3 convolution between two 1x1 ones, and a shortcut; four times as wide outside as inside."""

    widening = 4

    def __init__(self, c_in: int, width: int, stride: int, norm: type, shift: str, rngs: nnx.Rngs):
        c_out = width * self.widening
        self.conv1, self.norm1 = Conv(c_in, width, (1, 1), rngs), norm(width, rngs)
        self.conv2, self.norm2 = Conv(width, width, (3, 3), rngs, stride=stride), norm(width, rngs)
        self.conv3, self.norm3 = Conv(width, c_out, (1, 1), rngs), norm(c_out, rngs)
        self.downsample = Downsample(c_in, c_out, stride, norm, rngs) if stride != 1 or c_in != c_out else None
        self.shift = shift

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j k"]:
        y = nnx.relu(self.norm1(convolve_shifted(self.conv1, x, self.shift), mask, train))
        y = nnx.relu(self.norm2(self.conv2(y), mask, train))
        y = self.norm3(self.conv3(y), mask, train)
        return nnx.relu(y + (x if self.downsample is None else self.downsample(x, mask, train)))


class ResNet(nnx.Module):
    """Stem, stages of residual blocks, mean over space and time."""

    def __init__(
        self,
        shape: Shape,
        rngs: nnx.Rngs,
        *,
        block: type,
        width: int,
        blocks: tuple[int, ...],
        norm: str,
        shift: str,
    ):
        make = NORMS[norm]
        self.conv1, self.norm1 = Conv(shape[-1], width, (7, 7), rngs, stride=2), make(width, rngs)
        self.stages, c_in = len(blocks), width
        for stage, count in enumerate(blocks):
            layer = []
            for i in range(count):
                layer.append(block(c_in, width * 2**stage, 2 if stage and not i else 1, make, shift, rngs))
                c_in = width * 2**stage * block.widening
            setattr(self, f"layer{stage + 1}", Blocks(layer))

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = nnx.relu(self.norm1(self.conv1(scan), mask, train))
        x = max_pool(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for stage in range(self.stages):
            for block in getattr(self, f"layer{stage + 1}"):
                x = block(x, mask, train)
        return x.mean((1, 2, 3))


def _variant(name: str, block: type, width: int, blocks: tuple[int, ...], shift: str, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(ResNet, block=block, width=width, blocks=blocks, norm=norm, shift=shift),
        dim=width * 2 ** (len(blocks) - 1) * block.widening,
        takes=Takes(least=(1, 32, 32)),
        names={"torchvision": TORCHVISION},
        stems=(Stem("conv1/kernel", "norm1/mean"),),
    )


for _name, _block, _width, _blocks in (
    ("resnet18", BasicBlock, 64, (2, 2, 2, 2)),
    ("resnet50", Bottleneck, 64, (3, 4, 6, 3)),
    ("resnet18_narrow", BasicBlock, 16, (2, 2, 2, 2)),  # for CPUs: 1/16 of the multiply-adds
    ("resnet18-test", BasicBlock, 8, (1, 1)),
    ("resnet50-test", Bottleneck, 8, (1, 1)),
):
    for _prefix, _shift in (("tsn", "none"), ("tsm", "both"), ("tsm_past", "past")):
        backbones.register(f"{_prefix}_{_name}")(
            functools.partial(_variant, f"{_prefix}_{_name}", _block, _width, _blocks, _shift)
        )
