"""LILAC's encoder of volumes, whose embedding keeps spatial positions: there is no pooling at the end.

Kim et al., "Learning-based inference of longitudinal image changes", PNAS 2025, doi 10.1073/pnas.2411492122, with the
encoder of Ouyang et al. (longitudinal neighbourhood embedding), arXiv 2103.03840. LILAC maps the difference of two
embeddings to a score by one product without a bias, so each place of the last map has its own weights. For the paper's
volumes of 128x128x128 the map has 8x8x8 places of 16 channels, and the embedding is all of them, channel by channel as
in PyTorch. The width of the published embedding depends on the size of the volume; here it is fixed, as the map of any
other volume is averaged into 8x8x8 places (and repeated if it has fewer).
"""

import functools

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, kaiming_fan_in
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.pool import halve
from learner_jax.backbones.names import Names


def _names(prefix: str) -> Names:
    rules = (r"blocks\.(\d+)\.conv", r"\1.conv.0"), (r"blocks\.(\d+)\.norm", r"\1.conv.1")
    return Names((*rules, (r"^", f"{prefix}backbone.encoder.conv_blocks.")), unused=(rf"{prefix}linear\..*",))


# LILAC's own script saves the net wrapped in nn.DataParallel
NAMES = {"lilac": _names(""), "lilac in parallel": _names("module.")}


class Block(nnx.Module):
    """Convolution of 3x3x3, norm, leaky ReLU, and means of 2x2x2 voxels."""

    def __init__(self, c_in: int, c_out: int, norm: type, rngs: nnx.Rngs):
        self.conv = Conv(c_in, c_out, (3, 3, 3), rngs, use_bias=True, init=kaiming_fan_in)
        self.norm = norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b i j k d"]:
        return halve(nnx.leaky_relu(self.norm(self.conv(x), mask, train), 0.2))


class LILACEncoder(nnx.Module):
    """Blocks, the last of them as narrow as the first; then the map averaged into a grid and flattened."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, width: int, blocks: int, grid: int, norm: str):
        widths = (*(width * 2**i for i in range(blocks - 1)), width)
        pairs = zip((shape[-1], *widths), widths, strict=False)
        self.blocks = Blocks(Block(c_in, c_out, NORMS[norm], rngs) for c_in, c_out in pairs)
        self.grid = grid

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = scan
        for block in self.blocks:
            x = block(x, mask, train)
        x = places(x, self.grid)
        return jnp.moveaxis(x, -1, 1).reshape(len(x), -1)


def places(x: Float[Array, "b t h w c"], grid: int) -> Float[Array, "b g g g c"]:
    """Means over ``grid`` ranges of each side, the i-th from ``floor(i n / grid)`` to ``ceil((i + 1) n / grid)``."""
    for axis in (1, 2, 3):
        n = x.shape[axis]
        if n != grid:
            start = np.arange(grid) * n // grid
            end = -(-(np.arange(grid) + 1) * n // grid)
            voxel = np.arange(n)[:, None]
            weight = ((start <= voxel) & (voxel < end)) / (end - start)
            x = jnp.moveaxis(jnp.tensordot(x, jnp.asarray(weight, x.dtype), ((axis,), (0,))), -1, axis)
    return x


def _variant(name: str, width: int, blocks: int, grid: int, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(LILACEncoder, width=width, blocks=blocks, grid=grid, norm=norm),
        dim=width * grid**3,
        takes=Takes(least=(1, 32, 32)),
        names=NAMES,
        stems=(Stem("blocks/0/conv/kernel", "blocks/0/conv/bias"),),
    )


for _name, _width, _blocks, _grid in (("lilac_cnn3d", 16, 4, 8), ("lilac_cnn3d-test", 8, 2, 2)):
    backbones.register(_name)(functools.partial(_variant, _name, _width, _blocks, _grid))
