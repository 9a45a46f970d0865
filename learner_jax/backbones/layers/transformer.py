"""The block of a vision transformer: attention, then two dense layers, each after a norm and beside a shortcut."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.stored import stored

normal = nnx.initializers.normal(0.02)  # timm and MONAI truncate it at +-2, which is 100 SD away


class Mlp(nnx.Module):
    """Two dense layers with the exact GELU between them."""

    def __init__(self, dim: int, hidden: int, rngs: nnx.Rngs):
        self.fc1 = Linear(dim, hidden, kernel_init=normal, rngs=rngs)
        self.fc2 = Linear(hidden, dim, kernel_init=normal, rngs=rngs)

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        return self.fc2(gelu(self.fc1(x)))


class Block(nnx.Module):
    """``x + attn(norm1(x))``, then ``x + mlp(norm2(x))``. Dosovitskiy et al., arXiv 2010.11929.

    Args:
      attention: maps ``[b n d]`` to ``[b n d]``.
      dim: width d of tokens.
      hidden: width between the two dense layers.
      epsilon: of both norms.
      rngs: for the initial kernels.
    """

    def __init__(self, attention: nnx.Module, dim: int, hidden: int, epsilon: float, rngs: nnx.Rngs):
        self.norm1 = layer_norm(dim, epsilon, rngs)
        self.attn = attention
        self.norm2 = layer_norm(dim, epsilon, rngs)
        self.mlp = Mlp(dim, hidden, rngs)

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        x = shortcut(x, self.attn(self.norm1(x)))
        return shortcut(x, self.mlp(self.norm2(x)))


def gelu(x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """The exact GELU, ``x (1 + erf(x / sqrt 2)) / 2``, as PyTorch computes it, in float32 at least.

    JAX's uses ``erfc``, for which XLA's formula is twice as long.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return (0.5 * wide * (1 + jax.lax.erf(wide * math.sqrt(0.5)))).astype(x.dtype)


def shortcut(x: Float[Array, "*n d"], branch: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """``x + branch``, stored."""
    return stored(x + branch)


def layer_norm(dim: int, epsilon: float, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer norm as PyTorch computes it: the mean is subtracted first, so large offsets cost no precision."""
    return nnx.LayerNorm(dim, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
