"""Video Swin: attention within windows over (t, h, w) that shift by half a window in every other block.

Liu et al. (Video Swin), arXiv 2106.13230; Liu et al. (Swin), arXiv 2103.14030; names and numbers of torchvision.

Three peculiarities are kept:

* Windows that reach over the grid are filled with zero tokens, after the norm and before the product for queries, keys
  and values. They are not masked, so other tokens attend to what the biases make of them.
* Along an axis where the grid is no longer than a window, the window shrinks to the grid and does not shift.
* The bias between two tokens is looked up by their numbers in the *whole* window. For a window that shrank in time
  only, that is the bias of their distance; for one that shrank in height or width (with a grid below 7, under 224
  pixels), it is the bias of another distance. Both published implementations do so, and published weights give the same
  results here.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Shaped

from learner_jax.backbones import adapt
from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.attention import attention
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, torch_default
from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.transformer import Block, layer_norm, normal
from learner_jax.backbones.names import From, Names

Sides = tuple[int, int, int]  # along t, h and w
PATCH: Sides = (2, 4, 4)
EPSILON = 1e-5
HIDDEN = -100.0  # added to the logit of two tokens that only the shift brought into one window

_MLP = ((r"mlp\.fc1", "mlp.0"), (r"mlp\.fc2", "mlp.3"))
_TABLE = (r"(.*relative_position_bias_table)", From((r"\1",), adapt.resize_bias))
_UNUSED = (r"head\..*", r".*relative_position_index")
TORCHVISION = Names((*_MLP, _TABLE), _UNUSED)
# 2-D Swin, whose first feature is the patches: its kernel and its tables are the same for every frame
PICTURES = Names(
    (
        (r"patch_embed\.proj\.weight", From(("features.0.0.weight",), lambda k, shape: adapt.inflate(k, shape[0]))),
        *((rf"^features\.{i}", f"features.{i + 1}") for i in reversed(range(7))),
        (r"^patch_embed\.proj", "features.0.0"),
        (r"^patch_embed\.norm", "features.0.2"),
        *_MLP,
        _TABLE,
    ),
    _UNUSED,
)

_linear = functools.partial(Linear, kernel_init=normal)


class WindowAttention(nnx.Module):
    """Self-attention among the tokens of each window, with a trained bias for each distance in it.

    Args:
      dim: width of tokens.
      heads: of attention.
      grid: number of tokens along t, h and w.
      window: sides of a window, if the grid is larger.
      moved: whether windows are shifted by half of their sides.
      rngs: for the initial parameters.
    """

    def __init__(self, dim: int, heads: int, grid: Sides, window: Sides, moved: bool, rngs: nnx.Rngs):
        self.qkv, self.proj = _linear(dim, 3 * dim, rngs=rngs), _linear(dim, dim, rngs=rngs)
        table = (*(2 * side - 1 for side in window), heads)
        self.relative_position_bias_table = nnx.Param(normal(rngs.params(), table))
        self.heads, self.grid, self.whole = heads, grid, window
        self.window = tuple(map(min, grid, window))
        self.move = tuple(side // 2 if moved and n > side else 0 for n, side in zip(grid, window, strict=True))

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        c, ends = x.shape[-1], tuple((0, -n % side) for n, side in zip(self.grid, self.window, strict=True))
        x = jnp.pad(x.reshape(-1, *self.grid, c), ((0, 0), *ends, (0, 0)))
        padded, bias = x.shape[1:-1], self._bias()
        if any(self.move):
            x = jnp.roll(x, tuple(-m for m in self.move), (1, 2, 3))
            bias = bias + _hidden(padded, self.window, self.move).astype(bias.dtype)

        x = _cut(x, self.window)
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(*x.shape[:-1], 3, self.heads, c // self.heads), -3, 0)
        x = jax.vmap(attention, (0, 0, 0, None))(q, k, v, bias)
        x = _joined(self.proj(x.reshape(*x.shape[:-2], c)), padded, self.window)

        if any(self.move):
            x = jnp.roll(x, self.move, (1, 2, 3))
        t, h, w = self.grid
        return x[:, :t, :h, :w].reshape(len(x), -1, c)

    def _bias(self) -> Float[Array, "1 heads n n"]:
        n = math.prod(self.window)
        table = self.relative_position_bias_table[...].reshape(-1, self.heads)
        return jnp.moveaxis(table[_places(self.whole)[:n, :n]], -1, 0)[None]


def _places(window: Sides) -> Int[Array, "n n"]:
    """Index into the flat table of the bias between two tokens of a window, by their numbers in it."""
    t, h, w = np.indices(window).reshape(3, -1)
    number = jnp.asarray((t * (2 * window[1] - 1) + h) * (2 * window[2] - 1) + w)
    return number[:, None] - number[None, :] + number[-1]


def _hidden(padded: Sides, window: Sides, move: Sides) -> Float[Array, "windows 1 n n"]:
    """The mask that separates tokens of a shifted window which were not neighbours before the shift."""
    parts = np.zeros(padded, np.int32)
    for axis, (n, side, m) in enumerate(zip(padded, window, move, strict=True)):
        if m:  # the last window along the axis holds the end of the grid and, behind it, its beginning
            place = np.arange(n).reshape([n if other == axis else 1 for other in range(3)])
            parts = 3 * parts + (place >= n - side) + (place >= n - m)
    part = jnp.asarray(_cut(parts[None, ..., None], window)[0, ..., 0])
    return jnp.where(part[:, None, :, None] == part[:, None, None, :], 0.0, HIDDEN)


def _cut(x: Shaped[Array | np.ndarray, "b t h w c"], window: Sides) -> Shaped[Array | np.ndarray, "b windows n c"]:
    b, t, h, w, c = x.shape
    x = x.reshape(b, t // window[0], window[0], h // window[1], window[1], w // window[2], window[2], c)
    return x.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, -1, math.prod(window), c)


def _joined(x: Float[Array, "b windows n c"], padded: Sides, window: Sides) -> Float[Array, "b t h w c"]:
    x = x.reshape(len(x), *(n // side for n, side in zip(padded, window, strict=True)), *window, x.shape[-1])
    return x.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(len(x), *padded, x.shape[-1])


class PatchMerging(nnx.Module):
    """Four neighbours in a frame become one token of twice the width; zeros make odd sides even."""

    def __init__(self, dim: int, grid: Sides, rngs: nnx.Rngs):
        self.norm = layer_norm(4 * dim, EPSILON, rngs)
        self.reduction = _linear(4 * dim, 2 * dim, use_bias=False, rngs=rngs)
        self.grid = grid

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b m d"]:
        (t, h, w), c = self.grid, x.shape[-1]
        x = jnp.pad(x.reshape(-1, t, h, w, c), ((0, 0), (0, 0), (0, h % 2), (0, w % 2), (0, 0)))
        x = x.reshape(len(x), t, -(-h // 2), 2, -(-w // 2), 2, c).transpose(0, 1, 2, 4, 5, 3, 6)
        return self.reduction(self.norm(x.reshape(len(x), -1, 4 * c)))


class PatchEmbed(nnx.Module):
    """Boxes of pixels as tokens; zeros complete the last ones."""

    def __init__(self, channels: int, dim: int, rngs: nnx.Rngs):
        self.proj = Conv(channels, dim, PATCH, rngs, stride=PATCH, padding=(0, 0, 0), use_bias=True, init=torch_default)
        self.norm = layer_norm(dim, EPSILON, rngs)

    def __call__(self, scan: Float[Array, "b t h w c"]) -> Float[Array, "b n d"]:
        ends = ((0, -n % side) for n, side in zip(scan.shape[1:-1], PATCH, strict=True))
        x = self.proj(jnp.pad(scan, ((0, 0), *ends, (0, 0))))
        return self.norm(x.reshape(len(x), -1, x.shape[-1]))


class SwinTransformer3d(nnx.Module):
    """Patches, stages of blocks with patch merging between them, norm, mean over tokens."""

    def __init__(
        self,
        shape: Shape,
        rngs: nnx.Rngs,
        *,
        dim: int,
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        window: Sides,
    ):
        self.patch_embed = PatchEmbed(shape[-1], dim, rngs)
        t, h, w = (-(-n // side) for n, side in zip(shape, PATCH, strict=False))
        features: list[nnx.Module] = []
        for stage, depth in enumerate(depths):
            if stage:
                features.append(PatchMerging(dim, (t, h, w), rngs))
                dim, h, w = 2 * dim, -(-h // 2), -(-w // 2)
            blocks = []
            for i in range(depth):
                attend = WindowAttention(dim, heads[stage], (t, h, w), window, i % 2 == 1, rngs)
                blocks.append(Block(attend, dim, 4 * dim, EPSILON, rngs))
            features.append(Blocks(blocks))
        self.features = Blocks(features)
        self.norm = layer_norm(dim, EPSILON, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.patch_embed(scan)
        for part in self.features:
            for layer in part if isinstance(part, Blocks) else [part]:
                x = layer(x)
        return self.norm(x).mean(1)


def _variant(
    name: str, dim: int, depths: tuple[int, ...], heads: tuple[int, ...], window: Sides, norm: str
) -> Backbone:
    return Backbone(
        name,
        functools.partial(SwinTransformer3d, dim=dim, depths=depths, heads=heads, window=window),
        dim=dim * 2 ** (len(depths) - 1),
        takes=Takes(least=(1, 32, 32)),
        names={"torchvision": TORCHVISION, "torchvision, pictures": PICTURES},
        stems=(Stem("patch_embed/proj/kernel", "patch_embed/proj/bias"),),
    )


for _name, *_sizes in (
    ("swin3d_t", 96, (2, 2, 6, 2), (3, 6, 12, 24), (8, 7, 7)),
    ("swin3d_s", 96, (2, 2, 18, 2), (3, 6, 12, 24), (8, 7, 7)),
    ("swin3d_b", 128, (2, 2, 18, 2), (4, 8, 16, 32), (8, 7, 7)),
    ("swin3d-test", 16, (2, 1), (2, 4), (2, 4, 4)),
):
    backbones.register(_name)(functools.partial(_variant, _name, *_sizes))
