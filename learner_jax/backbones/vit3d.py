"""ViT over volumes: cubes of 16 voxels a side, as MONAI's ``ViT`` with learnt positions.

Dosovitskiy et al., arXiv 2010.11929; Hatamizadeh et al. (UNETR), arXiv 2103.10504. ``qkv`` has no bias, and the class
token has no position. The embedding is read after the last norm:

- ``vit3d_b16``: from the class token, as in MONAI's classification (``classification=True``).
- ``vit3d_b16_first``: from the first cube's token, without a class token. BrainIAC (Tak et al., doi
  10.1038/s41593-026-02202-6) does so, as its code takes a corner of the volume for a class token.
- ``vit3d_b16_mean``: as the mean of all tokens, without a class token: the same weights, but no preferred place.

Positions keep their grid, ``pos_embed [t h w d]``. Published ones are taken for those of a cube and resized to the grid
of the scan, cubic along each axis (``adapt.resize_positions``). Weights depend on the axes of the arrays they were
trained on: MONAI reads NIfTI as [x y z], while volumes here are [z y x] with y reversed.
"""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.adapt import resize_positions
from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.attention import SelfAttention
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.transformer import Block, layer_norm, normal
from learner_jax.backbones.names import From, Names

CUBE = (16, 16, 16)
EPSILON = 1e-5


def _names(prefix: str, unused: str) -> Names:
    positions = f"{prefix}patch_embedding.position_embeddings"
    return Names(
        rules=(
            ("pos_embed", From((positions,), lambda table, shape: resize_positions(table, shape[:-1]))),
            (r"^patch_embed", "patch_embedding.patch_embeddings"),
            (r"attn\.proj", "attn.out_proj"),
            (r"mlp\.fc", "mlp.linear"),
            (r"^", prefix),
        ),
        # MONAI 1.6 has an unused norm for cross-attention in every block; some versions had the unused attention too
        unused=(unused, rf"{prefix}blocks\.\d+\.(norm_)?cross_attn\..*"),
    )


NAMES = {
    "monai": _names("", r"classification_head\..*"),
    "BrainIAC": _names("backbone.", r"(?!backbone\.).*"),  # the file also holds the head of its pretraining
}


class ViT3D(nnx.Module):
    """Cubes with positions through blocks; after a norm, one token or the mean of all."""

    def __init__(
        self,
        shape: Shape,
        rngs: nnx.Rngs,
        *,
        dim: int,
        depth: int,
        heads: int,
        cube: tuple[int, int, int],
        read: str,
    ):
        padding = (0, 0, 0)
        grid = tuple(n // k for n, k in zip(shape[:3], cube, strict=True))
        self.patch_embed = Conv(shape[-1], dim, cube, rngs, stride=cube, padding=padding, use_bias=True, init=normal)
        self.pos_embed = nnx.Param(normal(rngs.params(), (*grid, dim)))
        self.cls_token = nnx.Param(jnp.zeros((1, 1, dim))) if read == "class" else None
        self.blocks = Blocks(
            Block(SelfAttention(dim, heads, rngs, qkv_bias=False, init=normal), dim, 4 * dim, EPSILON, rngs)
            for _ in range(depth)
        )
        self.norm = layer_norm(dim, EPSILON, rngs)
        self.read = read

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.patch_embed(scan) + self.pos_embed[...]
        x = x.reshape(len(x), -1, x.shape[-1])
        if self.cls_token is not None:
            first = self.cls_token[...]
            x = jnp.concatenate([jnp.broadcast_to(first, (len(x), *first.shape[1:])), x], axis=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x).mean(1) if self.read == "mean" else self.norm(x[:, 0])


def _variant(name: str, dim: int, depth: int, heads: int, cube: tuple[int, int, int], read: str, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(ViT3D, dim=dim, depth=depth, heads=heads, cube=cube, read=read),
        dim=dim,
        takes=Takes(least=cube, multiple=cube),
        names=NAMES,
        stems=(Stem("patch_embed/kernel", "patch_embed/bias"),),
    )


for _name, _dim, _depth, _heads, _cube, _read in (
    ("vit3d_b16", 768, 12, 12, CUBE, "class"),
    ("vit3d_b16_first", 768, 12, 12, CUBE, "first"),
    ("vit3d_b16_mean", 768, 12, 12, CUBE, "mean"),
    ("vit3d-test", 32, 2, 2, (2, 16, 16), "class"),
    ("vit3d_first-test", 32, 2, 2, (2, 16, 16), "first"),
    ("vit3d_mean-test", 32, 2, 2, (2, 16, 16), "mean"),
):
    backbones.register(_name)(functools.partial(_variant, _name, _dim, _depth, _heads, _cube, _read))
