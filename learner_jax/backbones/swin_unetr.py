"""The encoder of Swin UNETR: attention within shifted windows of a volume, with an eighth of the tokens in each layer.

Hatamizadeh et al. (Swin UNETR), arXiv 2201.01266; Tang et al. (its self-supervised training), arXiv 2111.14791; names
and numbers of MONAI. The published net is for segmentation and has no embedding. Ours is the mean over the volume of
the deepest of the five maps that its decoder gets, with 768 channels and a 32nd of each side, normalised as there (by a
layer norm without trained scale and offset). The decoder's weights are not used.

It has the peculiarities of Video Swin (see :mod:`learner_jax.backbones.swin3d`) and another one in merging tokens. Up
to MONAI 1.4, with which most published weights were trained, two of eight neighbours were taken twice and two left out;
from 1.5 on, each is taken once. The parameters have the same shapes and no file says which merging it was trained with,
so there are two variants: ``swin_unetr`` merges as MONAI 1.5 does, ``swin_unetr_monai09`` as MONAI 0.9 to 1.4.
"""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.adapt import resize_bias
from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, torch_default
from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.transformer import Block, layer_norm, normal
from learner_jax.backbones.names import From, Names
from learner_jax.backbones.swin3d import WindowAttention

Sides = tuple[int, int, int]  # along t, h and w
EPSILON = 1e-5
NEIGHBOURS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))
NEIGHBOURS_09 = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))


def _monai(prefix: str, mlp: str, others: str) -> Names:
    """Names after a prefix; ``others`` is a pattern of what a file may hold beside the encoder."""
    table = rf"{prefix}layers\1.0.\2relative_position_bias_table"
    return Names(
        rules=(
            (r"layers(\d)\.(.*)relative_position_bias_table", From((table,), resize_bias)),
            (r"^layers(\d)", r"layers\1.0"),
            (r"mlp\.fc(\d)", rf"mlp.{mlp}\1"),
            (r"^", prefix),
        ),
        unused=(r".*\.relative_position_index", others),
    )


NAMES = {
    # also of its self-supervised training, whose heads are the last three
    "MONAI, SwinUNETR": _monai(
        "swinViT.", "linear", r"((encoder|decoder)\d+|out|(rotation|contrastive)_head|conv)\..*"
    ),
    "MONAI, SwinTransformer": _monai("", "linear", ""),
    "MONAI, self-supervised": _monai("", "fc", r"(?!patch_embed|layers).*"),  # a file has "module." before each
}


class PatchMerging(nnx.Module):
    """Eight neighbours become one token of twice the width; zeros make odd sides even."""

    def __init__(self, dim: int, neighbours: tuple[Sides, ...], rngs: nnx.Rngs):
        self.norm = layer_norm(8 * dim, EPSILON, rngs)
        self.reduction = Linear(8 * dim, 2 * dim, use_bias=False, kernel_init=normal, rngs=rngs)
        self.neighbours = neighbours

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b i j k d"]:
        x = jnp.pad(x, ((0, 0), *((0, n % 2) for n in x.shape[1:-1]), (0, 0)))
        x = jnp.concatenate([x[:, t::2, h::2, w::2] for t, h, w in self.neighbours], axis=-1)
        return self.reduction(self.norm(x))


class Layer(nnx.Module):
    """Blocks with windows in place and shifted by turns, then patch merging."""

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        grid: Sides,
        window: Sides,
        neighbours: tuple[Sides, ...],
        rngs: nnx.Rngs,
    ):
        attends = [WindowAttention(dim, heads, grid, window, i % 2 == 1, rngs) for i in range(depth)]
        self.blocks = Blocks(Block(attend, dim, 4 * dim, EPSILON, rngs) for attend in attends)
        self.downsample = PatchMerging(dim, neighbours, rngs)
        self.grid = grid

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b i j k d"]:
        tokens = x.reshape(len(x), -1, x.shape[-1])
        for block in self.blocks:
            tokens = block(tokens)
        return self.downsample(tokens.reshape(x.shape))


class PatchEmbed(nnx.Module):
    """Cubes of two voxels a side as tokens; zeros complete the last ones."""

    def __init__(self, channels: int, dim: int, rngs: nnx.Rngs):
        self.proj = Conv(channels, dim, (2, 2, 2), rngs, stride=2, padding=(0, 0, 0), use_bias=True, init=torch_default)

    def __call__(self, scan: Float[Array, "b t h w c"]) -> Float[Array, "b i j k d"]:
        return self.proj(jnp.pad(scan, ((0, 0), *((0, n % 2) for n in scan.shape[1:-1]), (0, 0))))


class SwinUnetrEncoder(nnx.Module):
    """Patches, layers, a norm without parameters, mean over the volume."""

    def __init__(
        self,
        shape: Shape,
        rngs: nnx.Rngs,
        *,
        dim: int,
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        window: int,
        neighbours: tuple[Sides, ...],
    ):
        self.patch_embed = PatchEmbed(shape[-1], dim, rngs)
        self.depth = len(depths)
        for i in range(self.depth):
            t, h, w = (-(-n // 2 ** (i + 1)) for n in shape[:-1])
            layer = Layer(dim * 2**i, depths[i], heads[i], (t, h, w), (window,) * 3, neighbours, rngs)
            setattr(self, f"layers{i + 1}", layer)
        self.norm = nnx.LayerNorm(
            dim * 2**self.depth, epsilon=EPSILON, use_bias=False, use_scale=False, use_fast_variance=False, rngs=rngs
        )

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.patch_embed(scan)
        for i in range(self.depth):
            x = getattr(self, f"layers{i + 1}")(x)
        return self.norm(x).mean((1, 2, 3))


def _variant(
    name: str,
    dim: int,
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    window: int,
    neighbours: tuple[Sides, ...],
    norm: str,
) -> Backbone:
    return Backbone(
        name,
        functools.partial(SwinUnetrEncoder, dim=dim, depths=depths, heads=heads, window=window, neighbours=neighbours),
        dim=dim * 2 ** len(depths),
        takes=Takes(least=(1, 32, 32)),
        names=NAMES,
        stems=(Stem("patch_embed/proj/kernel", "patch_embed/proj/bias"),),
    )


for _name, *_sizes in (
    ("swin_unetr", 48, (2, 2, 2, 2), (3, 6, 12, 24), 7, NEIGHBOURS),
    ("swin_unetr_monai09", 48, (2, 2, 2, 2), (3, 6, 12, 24), 7, NEIGHBOURS_09),
    ("swin_unetr-test", 12, (2, 1), (2, 4), 4, NEIGHBOURS),
):
    backbones.register(_name)(functools.partial(_variant, _name, *_sizes))
