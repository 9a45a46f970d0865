"""ViT over frames: each frame is embedded by its class token, and the frames are averaged.

Dosovitskiy et al., arXiv 2010.11929; the small size is that of Touvron et al. (DeiT), arXiv 2012.12877. Parameters have
timm's names, with two differences: the positions of patches keep their grid, ``pos_embed [h w d]``, and the position of
the class token is a separate parameter. When published positions are loaded, they are resized to the grid of the scan,
bicubic and antialiased as in timm (``adapt.resize_positions``).
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

PATCH = 16  # pixels of a side
EPSILON = 1e-6
TIMM = Names(
    rules=(
        ("cls_pos", From(("pos_embed",), lambda positions, shape: positions[:, :1])),
        ("pos_embed", From(("pos_embed",), lambda positions, shape: resize_positions(positions[0, 1:], shape[:-1]))),
        (r"patch_embed", "patch_embed.proj"),
    ),
    unused=(r"head\..*",),
)


class ViT(nnx.Module):
    """Patches and a class token through blocks; the normalised class token, averaged over frames."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, dim: int, depth: int, heads: int):
        _, h, w, channels = shape
        self.patch_embed = Conv(
            channels, dim, (PATCH, PATCH), rngs, stride=PATCH, padding=(0, 0), use_bias=True, init=normal
        )
        self.cls_token = nnx.Param(nnx.initializers.normal(1e-6)(rngs.params(), (1, 1, dim)))
        self.cls_pos = nnx.Param(normal(rngs.params(), (1, 1, dim)))
        self.pos_embed = nnx.Param(normal(rngs.params(), (h // PATCH, w // PATCH, dim)))
        self.blocks = Blocks(
            Block(SelfAttention(dim, heads, rngs, init=normal), dim, 4 * dim, EPSILON, rngs) for _ in range(depth)
        )
        self.norm = layer_norm(dim, EPSILON, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        b, t = scan.shape[:2]
        x = self.patch_embed(scan) + self.pos_embed[...]
        x = x.reshape(b * t, -1, x.shape[-1])
        first = self.cls_token[...] + self.cls_pos[...]
        x = jnp.concatenate([jnp.broadcast_to(first, (b * t, *first.shape[1:])), x], axis=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0]).reshape(b, t, -1).mean(1)


def _variant(name: str, dim: int, depth: int, heads: int, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(ViT, dim=dim, depth=depth, heads=heads),
        dim=dim,
        takes=Takes(least=(1, PATCH, PATCH), multiple=(1, PATCH, PATCH)),
        names={"timm": TIMM},
        stems=(Stem("patch_embed/kernel", "patch_embed/bias"),),
    )


for _name, _dim, _depth, _heads in (
    ("vit_s16", 384, 12, 6),
    ("vit_b16", 768, 12, 12),
    ("vit-test", 32, 2, 2),
):
    backbones.register(_name)(functools.partial(_variant, _name, _dim, _depth, _heads))
