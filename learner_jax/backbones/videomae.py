"""VideoMAE's encoder: a ViT over boxes of 2 frames and 16x16 pixels, each attending to all others.

Tong et al., arXiv 2203.12602; version 2, Wang et al., arXiv 2303.16727, has the same encoder. Peculiarities: positions
are not parameters but sines and cosines of the place in the sequence, counted frame by frame and row by row; queries
and values have a bias, keys have none; the embedding is the mean of all tokens with a norm after it, like the input of
the classifier in ``VideoMAEForVideoClassification``. In a scan of another size places are counted anew, as in
transformers, so a place means another box than in training.

Weights have the names of transformers or of the authors. Files on the hub keep the names of transformers 4 (``q_bias``
where version 5 has ``query.bias``). Pretrained ones (``VideoMAEForPreTraining``, ``VideoMAEModel``) have no norm after
the mean: it starts fresh, as in the authors' fine-tuning. Their norm of single tokens and their decoder are not used.
"""

import functools

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.attention import attention
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.transformer import Block, layer_norm, normal
from learner_jax.backbones.names import From, Names, joined

BOX = (2, 16, 16)  # frames, rows, columns of a token

_UNUSED = r"classifier\..*|(?:videomae\.)?layernorm\..*|encoder_to_decoder\..*|mask_token|decoder\..*"
_NEW = (
    (r"fc_norm\.weight", From((), lambda shape: np.ones(shape, np.float32))),
    (r"fc_norm\.bias", From((), lambda shape: np.zeros(shape, np.float32))),
)


def _transformers(model: str, biases: tuple[str, str], norm: tuple = ()) -> Names:
    layer, attn = rf"{model}encoder.layer.\1", rf"{model}encoder.layer.\1.attention.attention"
    return Names(
        rules=(
            *norm,
            (r"blocks\.(\d+)\.attn\.qkv\.weight", joined(*(f"{attn}.{x}.weight" for x in ("query", "key", "value")))),
            (r"blocks\.(\d+)\.attn\.q_bias", f"{attn}.{biases[0]}"),
            (r"blocks\.(\d+)\.attn\.v_bias", f"{attn}.{biases[1]}"),
            (r"blocks\.(\d+)\.attn\.proj", rf"{layer}.attention.output.dense"),
            (r"blocks\.(\d+)\.norm1", rf"{layer}.layernorm_before"),
            (r"blocks\.(\d+)\.norm2", rf"{layer}.layernorm_after"),
            (r"blocks\.(\d+)\.mlp\.fc1", rf"{layer}.intermediate.dense"),
            (r"blocks\.(\d+)\.mlp\.fc2", rf"{layer}.output.dense"),
            (r"^patch_embed", f"{model}embeddings.patch_embeddings.projection"),
        ),
        unused=(_UNUSED,),
    )


_HUB, _TODAY = ("q_bias", "v_bias"), ("query.bias", "value.bias")
_AUTHORS = (r"^patch_embed", "patch_embed.proj")
NAMES = {
    "transformers": _transformers("videomae.", _TODAY),
    "transformers 4": _transformers("videomae.", _HUB),
    "transformers, pretrained": _transformers("videomae.", _TODAY, _NEW),
    "transformers 4, pretrained": _transformers("videomae.", _HUB, _NEW),
    "transformers, VideoMAEModel": _transformers("", _TODAY, _NEW),
    "transformers 4, VideoMAEModel": _transformers("", _HUB, _NEW),
    "VideoMAE": Names(rules=(_AUTHORS,), unused=(r"head\..*",)),
    "VideoMAEv2": Names(rules=(_AUTHORS, (r"^", "model.")), unused=(r"model\.head\..*",)),
}


class Attention(nnx.Module):
    """Multi-head self-attention with biases for queries and values, but not for keys."""

    def __init__(self, dim: int, heads: int, rngs: nnx.Rngs):
        self.qkv = Linear(dim, 3 * dim, use_bias=False, kernel_init=normal, rngs=rngs)
        self.q_bias, self.v_bias = nnx.Param(jnp.zeros(dim)), nnx.Param(jnp.zeros(dim))
        self.proj = Linear(dim, dim, kernel_init=normal, rngs=rngs)
        self.heads = heads

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        heads = (*x.shape[:2], self.heads, x.shape[2] // self.heads)
        y = attention((q + self.q_bias[...]).reshape(heads), k.reshape(heads), (v + self.v_bias[...]).reshape(heads))
        return self.proj(y.reshape(x.shape))


class VideoMAE(nnx.Module):
    """Boxes with positions through blocks; the mean of the tokens; a norm."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, dim: int, depth: int, heads: int):
        self.patch_embed = Conv(shape[-1], dim, BOX, rngs, stride=BOX, padding=(0, 0, 0), use_bias=True, init=normal)
        self.blocks = Blocks(Block(Attention(dim, heads, rngs), dim, 4 * dim, 1e-12, rngs) for _ in range(depth))
        self.fc_norm = layer_norm(dim, 1e-5, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.patch_embed(scan)
        x = x.reshape(len(x), -1, x.shape[-1])
        x = x + jnp.asarray(sinusoid(*x.shape[1:]), x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x.mean(1))


@functools.cache
def sinusoid(n: int, dim: int) -> Float[np.ndarray, "n d"]:
    """``sin(p / 10000^(2i/d))`` for place p in channel 2i, and the cosine in channel 2i + 1. arXiv 1706.03762, 3.5."""
    angle = np.arange(n)[:, None] / 10000 ** (np.arange(dim) // 2 * 2 / dim)
    return np.where(np.arange(dim) % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def _variant(name: str, dim: int, depth: int, heads: int, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(VideoMAE, dim=dim, depth=depth, heads=heads),
        dim=dim,
        takes=Takes(least=BOX, multiple=BOX),
        names=NAMES,
        stems=(Stem("patch_embed/kernel", "patch_embed/bias"),),
    )


for _name, _dim, _depth, _heads in (
    ("videomae_vit_s", 384, 12, 6),
    ("videomae_vit_b", 768, 12, 12),
    ("videomae_vit_l", 1024, 24, 16),
    ("videomae-test", 32, 2, 2),
):
    backbones.register(_name)(functools.partial(_variant, _name, _dim, _depth, _heads))
