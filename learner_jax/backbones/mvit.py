"""MViTv2: attention with pooled queries, keys and values, from many narrow tokens to few wide ones.

Fan et al. (MViT), arXiv 2104.11227; Li et al. (MViTv2), arXiv 2112.01526; names and numbers of torchvision.

Peculiarities: the pooled queries are added to the output of attention, except for the class token, which is never
pooled. Positions enter only through their differences, axis by axis: the logit of a query ``q`` and a key at distance
``(i, j, k)`` gets ``q (T_i + H_j + W_k)`` added. The tables have one row for each difference within the scan's grid;
published ones are resized to that when loaded, as torchvision does within the net. The last block's tables and its
convolution over queries do not affect the embedding, which is the class token; they are kept because they are
published.
"""

import functools

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from learner_jax.backbones.adapt import resize_linear
from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.attention import attention
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, torch_default
from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.layers.transformer import Mlp, layer_norm, normal, shortcut
from learner_jax.backbones.names import From, Names

Sides = tuple[int, int, int]  # along t, h and w
EPSILON = 1e-6
PATCH: Sides = (2, 4, 4)
TORCHVISION = Names(
    rules=(
        (r"^class_token", "pos_encoding.class_token"),
        (r"attn\.project", "attn.project.0"),
        (r"(pool_\w)\.conv", r"\1.pool"),
        (r"(pool_\w)\.norm", r"\1.norm_act.0"),
        (r"mlp\.fc1", "mlp.0"),
        (r"mlp\.fc2", "mlp.3"),
        (r"(.*rel_pos_\w)", From((r"\1",), lambda table, shape: resize_linear(table, shape[0]))),
    ),
    unused=(r"head\..*",),
)

_linear = functools.partial(Linear, kernel_init=normal)


class Pool(nnx.Module):
    """A depthwise convolution over the patches of each head, and a norm; the class token only gets the norm."""

    def __init__(self, dim: int, stride: Sides, rngs: nnx.Rngs):
        self.conv = Conv(dim, dim, (3, 3, 3), rngs, stride=stride, groups=dim, init=torch_default)
        self.norm = layer_norm(dim, EPSILON, rngs)

    def __call__(self, x: Float[Array, "b n heads d"], grid: Sides) -> Float[Array, "b m heads d"]:
        b, _, heads, d = x.shape
        patches = jnp.swapaxes(x[:, 1:], 1, 2).reshape(b * heads, *grid, d)
        patches = jnp.swapaxes(self.conv(patches).reshape(b, heads, -1, d), 1, 2)
        return self.norm(jnp.concatenate([x[:, :1], patches], axis=1))


class PooledAttention(nnx.Module):
    """Self-attention of pooled queries to pooled keys and values.

    Args:
      c_in, c_out: width of tokens before and after.
      heads: of attention.
      grid: number of patches along t, h and w.
      stride_q, stride_kv: of the pooling of queries, and of keys and values.
      rngs: for the initial parameters.
    """

    def __init__(
        self, c_in: int, c_out: int, heads: int, grid: Sides, stride_q: Sides, stride_kv: Sides, rngs: nnx.Rngs
    ):
        self.qkv, self.project = _linear(c_in, 3 * c_out, rngs=rngs), _linear(c_out, c_out, rngs=rngs)
        self.pool_q = Pool(c_out // heads, stride_q, rngs)
        self.pool_k = Pool(c_out // heads, stride_kv, rngs)
        self.pool_v = Pool(c_out // heads, stride_kv, rngs)
        self.grid, self.grid_q, self.grid_kv = grid, _strided(grid, stride_q), _strided(grid, stride_kv)
        t, h, w = (2 * max(sides) - 1 for sides in zip(self.grid_q, self.grid_kv, strict=True))
        self.rel_pos_t = nnx.Param(normal(rngs.params(), (t, c_out // heads)))
        self.rel_pos_h = nnx.Param(normal(rngs.params(), (h, c_out // heads)))
        self.rel_pos_w = nnx.Param(normal(rngs.params(), (w, c_out // heads)))
        self.heads = heads

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b m d"]:
        b, n, _ = x.shape
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(b, n, 3, self.heads, -1), 2, 0)
        q, k, v = self.pool_q(q, self.grid), self.pool_k(k, self.grid), self.pool_v(v, self.grid)
        x = attention(q, k, v, self._bias(q))
        x = jnp.concatenate([x[:, :1], x[:, 1:] + q[:, 1:]], axis=1)
        return self.project(x.reshape(b, x.shape[1], -1))

    def _bias(self, q: Float[Array, "b n heads d"]) -> Float[Array, "b heads n m"]:
        """What the logits get added for their positions; 0 for those of the class token."""
        b, n, heads, d = q.shape
        q = q[:, 1:].reshape(b, *self.grid_q, heads, d)
        places = map(_places, self.grid_q, self.grid_kv)
        tables = (self.rel_pos_t[...], self.rel_pos_h[...], self.rel_pos_w[...])
        t, h, w = (table[place] for table, place in zip(tables, places, strict=True))
        t = jnp.einsum("bthwnd,tkd->bnthwk", q, t)[..., :, None, None]
        h = jnp.einsum("bthwnd,hkd->bnthwk", q, h)[..., None, :, None]
        w = jnp.einsum("bthwnd,wkd->bnthwk", q, w)[..., None, None, :]
        return jnp.pad((t + h + w).reshape(b, heads, n - 1, -1), ((0, 0), (0, 0), (1, 0), (1, 0)))


def _places(q: int, k: int) -> Int[np.ndarray, "q k"]:
    """Row of a table for the difference between each of ``q`` and each of ``k`` positions on the same line.

    Differences are counted in steps of the finer positions, rounded down.
    """
    fine = max(q, k)
    return np.arange(q)[:, None] * fine // q + (k - 1 - np.arange(k)) * fine // k


def _strided(grid: Sides, stride: Sides) -> Sides:
    """The grid after a convolution with odd kernel sides, padded by half of them."""
    return tuple(-(-n // step) for n, step in zip(grid, stride, strict=True))


class MultiscaleBlock(nnx.Module):
    """Attention, then an MLP, each after a norm and beside a shortcut; the first shortcut is widened and pooled."""

    def __init__(
        self, c_in: int, c_out: int, heads: int, grid: Sides, stride_q: Sides, stride_kv: Sides, rngs: nnx.Rngs
    ):
        self.norm1, self.norm2 = layer_norm(c_in, EPSILON, rngs), layer_norm(c_out, EPSILON, rngs)
        self.attn = PooledAttention(c_in, c_out, heads, grid, stride_q, stride_kv, rngs)
        self.mlp = Mlp(c_out, 4 * c_out, rngs)
        self.project = _linear(c_in, c_out, rngs=rngs) if c_in != c_out else None
        self.grid, self.stride = grid, stride_q

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b m d"]:
        y = self.norm1(x)
        x = shortcut(self._pool(x if self.project is None else self.project(y)), self.attn(y))
        return shortcut(x, self.mlp(self.norm2(x)))

    def _pool(self, x: Float[Array, "b n c"]) -> Float[Array, "b m c"]:
        if self.stride == (1, 1, 1):
            return x
        window = tuple(step + 1 if step > 1 else 1 for step in self.stride)
        patches = x[:, 1:].reshape(len(x), *self.grid, -1)
        patches = max_pool(patches, window, self.stride, tuple(side // 2 for side in window))
        return jnp.concatenate([x[:, :1], patches.reshape(len(x), -1, x.shape[-1])], axis=1)


class MViT(nnx.Module):
    """Overlapping patches and a class token through stages of blocks; the embedding is the normalised class token.

    The first block of each stage but the first halves height and width and doubles channels and heads.
    """

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, dim: int, depths: tuple[int, ...], stride_kv: int):
        self.conv_proj = Conv(shape[-1], dim, (3, 7, 7), rngs, stride=PATCH, use_bias=True, init=torch_default)
        self.class_token = nnx.Param(normal(rngs.params(), (dim,)))
        grid, blocks, c_in = _strided(shape[:3], PATCH), [], dim
        for stage, depth in enumerate(depths):
            step = (1, stride_kv // 2**stage, stride_kv // 2**stage)
            for i in range(depth):
                stride = (1, 2, 2) if stage and not i else (1, 1, 1)
                blocks.append(MultiscaleBlock(c_in, dim * 2**stage, 2**stage, grid, stride, step, rngs))
                grid, c_in = _strided(grid, stride), dim * 2**stage
        self.blocks = Blocks(blocks)
        self.norm = layer_norm(c_in, EPSILON, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.conv_proj(scan)
        b, d = len(x), x.shape[-1]
        token = jnp.broadcast_to(self.class_token[...].astype(x.dtype), (b, 1, d))
        x = jnp.concatenate([token, x.reshape(b, -1, d)], axis=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])


def _variant(name: str, dim: int, depths: tuple[int, ...], stride_kv: int, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(MViT, dim=dim, depths=depths, stride_kv=stride_kv),
        dim=dim * 2 ** (len(depths) - 1),
        takes=Takes(least=(1, 32, 32)),
        names={"torchvision": TORCHVISION},
        stems=(Stem("conv_proj/kernel", "conv_proj/bias"),),
    )


for _name, *_sizes in (
    ("mvitv2_s", 96, (1, 2, 11, 2), 8),
    ("mvitv2-test", 16, (1, 1), 4),
):
    backbones.register(_name)(functools.partial(_variant, _name, *_sizes))
