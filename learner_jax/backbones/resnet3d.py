"""ResNet over volumes, with the shortcuts of MedicalNet.

He et al., arXiv 1512.03385; Hara et al. (three axes), arXiv 1711.09577; Chen et al. (MedicalNet), arXiv 1904.00625. The
stem is a 7x7x7 convolution with a stride of 2 along every axis, as in MedicalNet. The last two stages are strided as in
MONAI; MedicalNet keeps their size and dilates instead (the weights fit both).

MedicalNet's ResNet-18 and -34 have shortcuts of type A: every second voxel, with zeros in the new channels. Type B is a
1x1x1 convolution and a norm: ResNet-10, -50, and ``resnet3d_18b`` and ``_34b``, for which torchvision's 2-D ResNets can
be inflated. Both published implementations cut the gradient of type A (they read ``.data``); here it flows.
"""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.adapt import inflate
from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.names import From, Names

_RULES = ((r"downsample\.conv", "downsample.0"), (r"downsample\.norm", "downsample.1"), (r"norm(\d)", r"bn\1"))
_INFLATED = From((r"\1",), lambda kernel, shape: inflate(kernel, shape[0]))
# The converter takes "module." off MedicalNet's names, which makes them MONAI's; other software keeps it.
NAMES = {
    "monai": Names(_RULES, unused=(r"fc\..*", r"conv_seg\..*")),
    "medicalnet": Names((*_RULES, (r"^", "module.")), unused=(r"module\.conv_seg\..*",)),
    "torchvision": Names((*_RULES, (r"(.*(?:conv\d|downsample\.0)\.weight)", _INFLATED)), unused=(r"fc\..*",)),
}


class ShortcutA(nnx.Module):
    """A shortcut without parameters: every ``stride``-th voxel, and zeros in the new channels."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: type, rngs: nnx.Rngs):
        self.stride, self.new = stride, c_out - c_in

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        x = x[:, :: self.stride, :: self.stride, :: self.stride]
        return jnp.pad(x, ((0, 0),) * 4 + ((0, self.new),))


class ShortcutB(nnx.Module):
    """A 1x1x1 convolution and a norm."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: type, rngs: nnx.Rngs):
        self.conv, self.norm = Conv(c_in, c_out, (1, 1, 1), rngs, stride=stride), norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        return self.norm(self.conv(x), mask, train)


class BasicBlock(nnx.Module):
    """Two convolutions of 3x3x3 and a shortcut."""

    widening = 1

    def __init__(self, c_in: int, width: int, stride: int, norm: type, shortcut: type, rngs: nnx.Rngs):
        self.conv1, self.norm1 = Conv(c_in, width, (3, 3, 3), rngs, stride=stride), norm(width, rngs)
        self.conv2, self.norm2 = Conv(width, width, (3, 3, 3), rngs), norm(width, rngs)
        self.downsample = shortcut(c_in, width, stride, norm, rngs) if stride != 1 or c_in != width else None

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        y = nnx.relu(self.norm1(self.conv1(x), mask, train))
        y = self.norm2(self.conv2(y), mask, train)
        return nnx.relu(y + (x if self.downsample is None else self.downsample(x, mask, train)))


class Bottleneck(nnx.Module):
    """A strided 3x3x3 convolution between two 1x1x1 ones, and a shortcut; four times as wide outside as inside."""

    widening = 4

    def __init__(self, c_in: int, width: int, stride: int, norm: type, shortcut: type, rngs: nnx.Rngs):
        c_out = width * self.widening
        self.conv1, self.norm1 = Conv(c_in, width, (1, 1, 1), rngs), norm(width, rngs)
        self.conv2, self.norm2 = Conv(width, width, (3, 3, 3), rngs, stride=stride), norm(width, rngs)
        self.conv3, self.norm3 = Conv(width, c_out, (1, 1, 1), rngs), norm(c_out, rngs)
        self.downsample = shortcut(c_in, c_out, stride, norm, rngs) if stride != 1 or c_in != c_out else None

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        y = nnx.relu(self.norm1(self.conv1(x), mask, train))
        y = nnx.relu(self.norm2(self.conv2(y), mask, train))
        y = self.norm3(self.conv3(y), mask, train)
        return nnx.relu(y + (x if self.downsample is None else self.downsample(x, mask, train)))


class ResNet3D(nnx.Module):
    """Stem, stages of residual blocks, mean over the volume."""

    def __init__(
        self,
        shape: Shape,
        rngs: nnx.Rngs,
        *,
        block: type,
        width: int,
        blocks: tuple[int, ...],
        shortcut: type,
        norm: str,
    ):
        make = NORMS[norm]
        self.conv1, self.norm1 = Conv(shape[-1], width, (7, 7, 7), rngs, stride=2), make(width, rngs)
        self.stages, c_in = len(blocks), width
        for stage, count in enumerate(blocks):
            layer = []
            for i in range(count):
                layer.append(block(c_in, width * 2**stage, 2 if stage and not i else 1, make, shortcut, rngs))
                c_in = width * 2**stage * block.widening
            setattr(self, f"layer{stage + 1}", Blocks(layer))

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = nnx.relu(self.norm1(self.conv1(scan), mask, train))
        x = max_pool(x, (3, 3, 3), (2, 2, 2), (1, 1, 1))
        for stage in range(self.stages):
            for block in getattr(self, f"layer{stage + 1}"):
                x = block(x, mask, train)
        return x.mean((1, 2, 3))


def _variant(name: str, block: type, width: int, blocks: tuple[int, ...], shortcut: type, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(ResNet3D, block=block, width=width, blocks=blocks, shortcut=shortcut, norm=norm),
        dim=width * 2 ** (len(blocks) - 1) * block.widening,
        takes=Takes(least=(1, 32, 32)),
        names=NAMES,
        stems=(Stem("conv1/kernel", "norm1/mean"),),
    )


for _name, _block, _width, _blocks, _shortcut in (
    ("resnet3d_10", BasicBlock, 64, (1, 1, 1, 1), ShortcutB),
    ("resnet3d_18", BasicBlock, 64, (2, 2, 2, 2), ShortcutA),
    ("resnet3d_34", BasicBlock, 64, (3, 4, 6, 3), ShortcutA),
    ("resnet3d_50", Bottleneck, 64, (3, 4, 6, 3), ShortcutB),
    ("resnet3d_18b", BasicBlock, 64, (2, 2, 2, 2), ShortcutB),
    ("resnet3d_34b", BasicBlock, 64, (3, 4, 6, 3), ShortcutB),
    ("resnet3d-test", BasicBlock, 8, (1, 1), ShortcutA),
    ("resnet3d50-test", Bottleneck, 8, (1, 1), ShortcutB),
):
    backbones.register(_name)(functools.partial(_variant, _name, _block, _width, _blocks, _shortcut))
