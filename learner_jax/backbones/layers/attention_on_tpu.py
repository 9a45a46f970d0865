"""Flash attention on a TPU: JAX's splash kernel on each device, also for tokens that do not fill whole blocks."""

import functools

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

_BLOCK = 256  # queries in a block, and keys that are compared at once
_MOST_KEYS = 4096  # keys in a block, which stay on the chip while queries pass


@functools.partial(jax.jit, static_argnames=("mesh", "interpret"))
def flash_attention(
    q: Float[Array, "b n h d"],
    k: Float[Array, "b m h d"],
    v: Float[Array, "b m h d"],
    mesh: Mesh,
    interpret: bool = False,
) -> Float[Array, "b n h d"]:
    """``softmax(q k' / sqrt(d)) v`` for each head, without the logits leaving the chip.

    Args:
      q, k, v: with rows sharded over all axes of the mesh.
      mesh: the devices.
      interpret: run the kernel's operations one by one, on any device, for tests.
    """
    rows = P(mesh.axis_names)
    one = functools.partial(_on_one_device, interpret=interpret)
    return jax.shard_map(one, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False)(q, k, v)


def _on_one_device(q: Array, k: Array, v: Array, interpret: bool) -> Array:
    # experimental, so imported only when used
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
    from jax.experimental.pallas.ops.tpu.splash_attention.splash_attention_mask import FullMask, MultiHeadMask

    _, n, heads, d = q.shape
    m = k.shape[1]
    q, k, v = _whole_blocks(q * d**-0.5), _whole_blocks(k), _whole_blocks(v)
    queries, keys = q.shape[2], k.shape[2]
    most = max(size for size in range(_BLOCK, _MOST_KEYS + 1, _BLOCK) if keys % size == 0)
    sizes = splash.BlockSizes(
        **dict.fromkeys(("block_q", "block_q_dkv", "block_q_dq"), _BLOCK),
        **dict.fromkeys(("block_kv", "block_kv_dkv", "block_kv_dq"), most),
        **dict.fromkeys(("block_kv_compute", "block_kv_dkv_compute"), _BLOCK),
    )
    mask = MultiHeadMask([FullMask((queries, keys))] * heads)
    kernel = splash.make_splash_mha(mask, block_sizes=sizes, head_shards=1, q_seq_shards=1, interpret=interpret)
    # queries attend to keys of their own segment: the real ones
    numbers = splash.SegmentIds(jnp.zeros(queries, jnp.int32), (jnp.arange(keys) >= m).astype(jnp.int32))
    attended = jax.vmap(kernel, in_axes=(0, 0, 0, None))(q, k, v, numbers if keys > m else None)
    return attended[:, :, :n].swapaxes(1, 2)


def _whole_blocks(x: Float[Array, "b n h d"]) -> Float[Array, "b h whole d"]:
    return jnp.pad(x.swapaxes(1, 2), ((0, 0), (0, 0), (0, -x.shape[1] % _BLOCK), (0, 0)))
