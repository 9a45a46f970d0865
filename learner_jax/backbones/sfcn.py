"""SFCN, the simple fully convolutional net for brain volumes.

Peng et al., "Accurate brain age prediction with lightweight deep neural networks", doi 10.1016/j.media.2020.101871.
Each block halves every side; pooling comes between norm and ReLU, and convolutions have a bias although a norm follows.
The published net is made for 160x192x160 voxels of 1 mm and averages a last map of 5x6x5; here the mean is over the
last map of any volume. A side of one voxel stays.
"""

import functools

from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, torch_default
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.names import Names


def _names(prefix: str) -> Names:
    rules = (r"blocks\.(\d+)\.conv", r"conv_\1.0"), (r"blocks\.(\d+)\.norm", r"conv_\1.1")
    return Names((*rules, (r"^", f"{prefix}feature_extractor.")), unused=(rf"{prefix}classifier\..*",))


# the published file holds a net wrapped in nn.DataParallel
NAMES = {"ukbiobank": _names(""), "ukbiobank in parallel": _names("module.")}


class Block(nnx.Module):
    """Convolution, norm, max-pool if ``pooled``, ReLU."""

    def __init__(self, c_in: int, c_out: int, side: int, pooled: bool, norm: type, rngs: nnx.Rngs):
        self.conv = Conv(c_in, c_out, (side,) * 3, rngs, use_bias=True, init=torch_default)
        self.norm, self.pooled = norm(c_out, rngs), pooled

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        x = self.norm(self.conv(x), mask, train)
        if self.pooled:
            sides = tuple(min(2, n) for n in x.shape[1:4])
            x = max_pool(x, sides, sides, (0, 0, 0))
        return nnx.relu(x)


class SFCN(nnx.Module):
    """Blocks of 3x3x3 that halve the volume, one of 1x1x1 that does not, mean over the volume."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, widths: tuple[int, ...], norm: str):
        make, last = NORMS[norm], len(widths) - 1
        self.blocks = Blocks(
            Block(c_in, c_out, 3 if i < last else 1, i < last, make, rngs)
            for i, (c_in, c_out) in enumerate(zip((shape[-1], *widths), widths, strict=False))
        )

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = scan
        for block in self.blocks:
            x = block(x, mask, train)
        return x.mean((1, 2, 3))


def _variant(name: str, widths: tuple[int, ...], norm: str) -> Backbone:
    # Group norm makes +1 and -1 of the two channels of a group in a last map of one voxel: at 32x32x32, 1 % of an
    # embedding's numbers were between 0.05 and 0.95, at 64x64x64 61 % (2026-12).
    side = max(32, 2 ** len(widths)) if norm == "group" else 32
    return Backbone(
        name,
        functools.partial(SFCN, widths=widths, norm=norm),
        dim=widths[-1],
        takes=Takes(least=(1, side, side)),
        names=NAMES,
        stems=(Stem("blocks/0/conv/kernel", "blocks/0/conv/bias"),),
    )


for _name, _widths in (("sfcn", (32, 64, 128, 256, 256, 64)), ("sfcn-test", (8, 16, 8))):
    backbones.register(_name)(functools.partial(_variant, _name, _widths))
