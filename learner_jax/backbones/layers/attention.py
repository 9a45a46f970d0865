"""Attention: flash attention where cuDNN or JAX's TPU kernel supports it, else XLA's, with the reason on stderr."""

import functools
import sys

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from learner_jax.backbones.layers.attention_on_tpu import flash_attention
from learner_jax.backbones.layers.linear import Linear
from learner_jax.backbones.layers.platform import platform
from learner_jax.backbones.layers.rows import mesh_of_rows

_FEW_TOKENS = 1024  # with fewer, logits are small and much of a TPU kernel's work is padding; estimated, not measured
lecun_normal = nnx.initializers.lecun_normal()


def attention(
    q: Float[Array, "b n h d"],
    k: Float[Array, "b m h d"],
    v: Float[Array, "b m h d"],
    bias: Float[Array, "#b #h n m"] | None = None,
) -> Float[Array, "b n h d"]:
    """``softmax(q k' / sqrt(d) + bias) v`` for each head.

    The implementation is chosen here because ``jax.nn.dot_product_attention`` never chooses cuDNN (jax 0.10.2).
    """
    device = platform()
    if device not in ("gpu", "tpu"):
        return fused_attention(q, k, v, bias, implementation="xla")
    reason = _why_not_cudnn(q, bias) if device == "gpu" else _why_not_splash(q, k, bias)
    if reason is not None:
        _say(reason)
        return fused_attention(q, k, v, bias, implementation="xla")
    if device == "gpu":
        return fused_attention(q, k, v, bias, implementation="cudnn")
    return flash_attention(q, k, v, mesh_of_rows())


@functools.partial(jax.jit, static_argnames="implementation")
def fused_attention(q: Array, k: Array, v: Array, bias: Array | None, implementation: str) -> Array:
    """Jitted, so that it is one operation in a trace, which :mod:`learner_jax.backbones.flops` knows by name."""
    return jax.nn.dot_product_attention(q, k, v, bias, implementation=implementation)


def _why_not_cudnn(q: Array, bias: Array | None) -> str | None:
    if q.dtype not in (jnp.bfloat16, jnp.float16):
        return f"the dtype is {q.dtype}, and cuDNN takes bfloat16 and float16"
    if q.shape[-1] % 8 or q.shape[-1] > 128:
        return f"a head has {q.shape[-1]} channels, and cuDNN takes multiples of 8 up to 128"
    major = (capability := _compute_capability()).partition(".")[0]
    if capability and not (major.isdecimal() and int(major) >= 8):  # cuDNN 9's support matrix; AMD's are like gfx90a
        return f"the GPU has compute capability {capability}, and cuDNN takes 8.0 and higher"
    if bias is not None:
        return "there is a trained bias, whose gradient cuDNN gives for a batch of 1 only"
    return None


def _compute_capability() -> str:
    """Of the GPU in use; empty where there is none, as in compiling for one ahead of time."""
    return str(getattr(jax.local_devices()[0], "compute_capability", ""))


def _why_not_splash(q: Array, k: Array, bias: Array | None) -> str | None:
    if q.dtype != jnp.bfloat16:
        return f"the dtype is {q.dtype}, and the kernel for TPUs is used for bfloat16"
    if bias is not None:
        return "there is a trained bias, which the kernel for TPUs does not take"
    if (tokens := min(q.shape[1], k.shape[1])) < _FEW_TOKENS:
        return f"there are {tokens} tokens, and the kernel for TPUs is used for {_FEW_TOKENS} or more"
    if mesh_of_rows() is None:
        return "it is not known over which devices the rows are sharded"
    return None


@functools.cache
def _say(reason: str) -> None:  # cached, to say it once; not through logging, which the trainer silences for Orbax
    print(f"attention runs in XLA and not in a kernel of its own: {reason}", file=sys.stderr, flush=True)


class SelfAttention(nnx.Module):
    """Multi-head self-attention with one product for queries, keys and values, ``qkv``, and one after it, ``proj``.

    The columns of ``qkv`` are all queries (head by head), all keys, all values, as in timm.

    Args:
      dim: width of tokens.
      heads: of attention.
      rngs: for the initial kernels.
      qkv_bias: whether ``qkv`` has a bias.
      init: initialises both kernels.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        rngs: nnx.Rngs,
        qkv_bias: bool = True,
        init: nnx.Initializer = lecun_normal,
    ):
        self.qkv = Linear(dim, 3 * dim, use_bias=qkv_bias, kernel_init=init, rngs=rngs)
        self.proj = Linear(dim, dim, kernel_init=init, rngs=rngs)
        self.heads = heads

    def __call__(self, x: Float[Array, "b n d"], bias: Float[Array, "#b h n n"] | None = None) -> Float[Array, "b n d"]:
        b, n, d = x.shape
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads), 2, 0)
        return self.proj(attention(q, k, v, bias).reshape(b, n, d))
