"""The block of a vision transformer: attention, then two dense layers, each behind a norm and beside a shortcut."""

from flax import nnx
from jaxtyping import Array, Float

from learner_jax.backbones.layers.linear import Linear

normal = nnx.initializers.normal(0.02)  # timm and MONAI cut it at +-2, which is 100 deviations away


class Mlp(nnx.Module):
    """Two dense layers with the exact GELU between them."""

    def __init__(self, dim: int, hidden: int, rngs: nnx.Rngs):
        self.fc1 = Linear(dim, hidden, kernel_init=normal, rngs=rngs)
        self.fc2 = Linear(hidden, dim, kernel_init=normal, rngs=rngs)

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        return self.fc2(nnx.gelu(self.fc1(x), approximate=False))


class Block(nnx.Module):
    """``x + attn(norm1(x))``, then ``x + mlp(norm2(x))``. Dosovitskiy et al., arXiv 2010.11929.

    Args:
      attention: maps ``[b n d]`` to ``[b n d]``.
      dim: d.
      hidden: width between the two dense layers.
      epsilon: of both norms.
      rngs: of the initial kernels.
    """

    def __init__(self, attention: nnx.Module, dim: int, hidden: int, epsilon: float, rngs: nnx.Rngs):
        self.norm1 = layer_norm(dim, epsilon, rngs)
        self.attn = attention
        self.norm2 = layer_norm(dim, epsilon, rngs)
        self.mlp = Mlp(dim, hidden, rngs)

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def layer_norm(dim: int, epsilon: float, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer norm as PyTorch computes it: the mean goes first, so large offsets cost no digits."""
    return nnx.LayerNorm(dim, epsilon=epsilon, use_fast_variance=False, rngs=rngs)
