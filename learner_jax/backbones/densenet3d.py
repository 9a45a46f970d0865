"""DenseNet over volumes: each layer sees the outputs of all layers before it in its block.

Huang et al., arXiv 1608.06993; over three axes as in MONAI, which also names the parameters. Norms precede
convolutions, so the last map is normalised once more before averaging. Weights of torchvision's 2-D DenseNet can be
inflated into it.
"""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.adapt import inflate
from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers import remat
from learner_jax.backbones.layers.conv import Conv, kaiming_fan_in
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.pool import halve, max_pool
from learner_jax.backbones.layers.stored import stored
from learner_jax.backbones.names import From, Names

_INFLATED = From((r"\1",), lambda kernel, shape: inflate(kernel, shape[0]))
_INFLATE = (r"(.*\.conv\.?\d?\.weight)", _INFLATED)
_FEATURES = (r"^", "features.")
_NUMBERED = (r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2")  # names in the file, which torchvision changes on loading
NAMES = {
    "monai": Names((_FEATURES, (r"(denselayer\d+)", r"\1.layers")), unused=(r"class_layers\..*",)),
    "torchvision": Names((_FEATURES, _INFLATE), unused=(r"classifier\..*",)),
    "torchvision, its file": Names((_FEATURES, _NUMBERED, _INFLATE), unused=(r"classifier\..*",)),
}
_WIDENING = 4  # width of the 1x1x1 convolution before the 3x3x3 one, in units of the growth


class DenseLayer(nnx.Module):
    """Appends ``growth`` new channels to its input."""

    def __init__(self, c_in: int, growth: int, norm: type, rngs: nnx.Rngs):
        width = _WIDENING * growth
        self.norm1, self.conv1 = norm(c_in, rngs), Conv(c_in, width, (1, 1, 1), rngs, init=kaiming_fan_in)
        self.norm2, self.conv2 = norm(width, rngs), Conv(width, growth, (3, 3, 3), rngs, init=kaiming_fan_in)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t h w d"]:
        y = self.conv1(nnx.relu(self.norm1(x, mask, train)))
        y = self.conv2(nnx.relu(self.norm2(y, mask, train)))
        return stored(jnp.concatenate([x, y], axis=-1))


class DenseBlock(nnx.Module):
    """Dense layers named ``denselayer1``, ``denselayer2`` …"""

    def __init__(self, c_in: int, layers: int, growth: int, norm: type, rngs: nnx.Rngs):
        self.layers = layers
        for i in range(layers):
            setattr(self, f"denselayer{i + 1}", DenseLayer(c_in + i * growth, growth, norm, rngs))

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t h w d"]:
        for i in range(self.layers):
            x = getattr(self, f"denselayer{i + 1}")(x, mask, train)
        return x


class Transition(nnx.Module):
    """Halves the channels and each side."""

    def __init__(self, c_in: int, norm: type, rngs: nnx.Rngs):
        self.norm, self.conv = norm(c_in, rngs), Conv(c_in, c_in // 2, (1, 1, 1), rngs, init=kaiming_fan_in)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        return halve(self.conv(nnx.relu(self.norm(x, mask, train))))


class DenseNet3D(nnx.Module):
    """Stem, dense blocks with transitions between them, a final norm, mean over the volume."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, width: int, growth: int, blocks: tuple[int, ...], norm: str):
        make = NORMS[norm]
        self.conv0 = Conv(shape[-1], width, (7, 7, 7), rngs, stride=2, init=kaiming_fan_in)
        self.norm0, self.blocks = make(width, rngs), len(blocks)
        for i, layers in enumerate(blocks, start=1):
            setattr(self, f"denseblock{i}", DenseBlock(width, layers, growth, make, rngs))
            width += layers * growth
            if i < len(blocks):
                setattr(self, f"transition{i}", Transition(width, make, rngs))
                width //= 2
        self.norm5 = make(width, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = nnx.relu(self.norm0(self.conv0(scan), mask, train))
        x = max_pool(x, (3, 3, 3), (2, 2, 2), (1, 1, 1))
        for i in range(1, self.blocks + 1):
            x = remat.block(getattr(self, f"denseblock{i}"))(x, mask, train)
            if i < self.blocks:
                x = getattr(self, f"transition{i}")(x, mask, train)
        return nnx.relu(self.norm5(x, mask, train)).mean((1, 2, 3))


def _dim(width: int, growth: int, blocks: tuple[int, ...]) -> int:
    for layers in blocks[:-1]:
        width = (width + layers * growth) // 2
    return width + blocks[-1] * growth


def _variant(name: str, width: int, growth: int, blocks: tuple[int, ...], norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(DenseNet3D, width=width, growth=growth, blocks=blocks, norm=norm),
        dim=_dim(width, growth, blocks),
        takes=Takes(least=(1, 32, 32)),
        names=NAMES,
        stems=(Stem("conv0/kernel", "norm0/mean"),),
    )


for _name, _width, _growth, _blocks in (
    ("densenet3d_121", 64, 32, (6, 12, 24, 16)),
    ("densenet3d-test", 8, 4, (2, 2)),
):
    backbones.register(_name)(functools.partial(_variant, _name, _width, _growth, _blocks))
