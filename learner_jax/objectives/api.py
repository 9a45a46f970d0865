"""What every objective gives, and the parts that are written once: projection, gather over devices, blocks of anchors.

A pairwise objective only says what one block of anchors sees of all rows of the *global* batch; :func:`over_anchors`
brings the rows together and bounds the memory to block x batch.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from learner_jax.batch import Batch
from learner_jax.config import ObjectiveConfig
from learner_jax.mesh import DATA
from learner_jax.registry import Registry

Params = dict[str, Any]
Metrics = dict[str, jax.Array]


@runtime_checkable
class Loss(Protocol):
    """``(params, state, z [b p], u [b d], batch, rng) -> (scalar, metrics, state)`` in float32 over the global batch.

    Rows whose mask is False, and rows without a score, change nothing.
    """

    def __call__(
        self,
        params: Params,
        state: Params,
        z: Float[Array, "b p"],
        u: Float[Array, "b d"],
        batch: Batch,
        rng: jax.Array | None,
    ) -> tuple[jax.Array, Metrics, Params]: ...


@dataclasses.dataclass(frozen=True)
class Objective:
    """A pretraining loss with parameters (heads) and state (queues) of its own.

    Attributes:
      init: ``(rng, dim) -> (params, state)`` for embeddings of width ``dim``.
      loss: see :class:`Loss`.
      n_augmentations: augmented copies of each scan that a step needs.
    """

    init: Callable[[jax.Array, int], tuple[Params, Params]]
    loss: Loss
    n_augmentations: int = 1


objectives: Registry[Callable[[ObjectiveConfig, Mesh], Objective]] = Registry("objective", "config.objective.name")


def create(config: ObjectiveConfig, mesh: Mesh) -> Objective:
    """The objective that the config names.

    Raises:
      InputError: for an unknown name.
    """
    return objectives.get(config.name)(config, mesh)


def list_objectives() -> list[str]:
    """Names for ``config.objective.name``."""
    return objectives.list()


def dense(rng: jax.Array, d_in: int, d_out: int) -> Params:
    """Parameters of one dense layer, LeCun-normal kernel ``[d_in d_out]`` and zero bias."""
    kernel = jax.nn.initializers.lecun_normal()(rng, (d_in, d_out))
    return {"kernel": kernel, "bias": jnp.zeros(d_out)}


def apply_dense(params: Params, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
    """``x @ kernel + bias``."""
    return x @ params["kernel"] + params["bias"]


def init_projection(rng: jax.Array, dim: int, projection: int) -> Params:
    """Parameters of the projection ``d -> d -> p`` with one hidden layer. Chen et al., arXiv 2002.05709."""
    first, second = jax.random.split(rng)
    return {"hidden": dense(first, dim, dim), "out": dense(second, dim, projection)}


def project(params: Params, u: Float[Array, "b d"]) -> Float[Array, "b p"]:
    """The projection ``z`` that pairwise objectives compare; ``u`` itself for an objective without one."""
    u = u.astype(jnp.float32)
    if "projection" not in params:
        return u
    layers = params["projection"]
    return apply_dense(layers["out"], jax.nn.relu(apply_dense(layers["hidden"], u)))


def over_anchors(block: Callable[[Any, Any], Any], rows: Any, mesh: Mesh, size: int) -> Any:
    """Sum of ``block(anchors, everyone)`` over blocks of anchors, over the whole global batch.

    Args:
      block: takes two trees like ``rows``, one with ``[k …]`` anchors and one with all ``[b …]`` rows, and returns a
        tree of sums. Blocks are padded with zeros, so a row that is all zeros must contribute nothing.
      rows: tree of arrays ``[b …]``, cut over the devices of the mesh.
      mesh: with the axis ``data``.
      size: anchors in a block; activations of a block are recomputed in the backward pass.

    Returns:
      The summed tree, the same on every device and for any number of devices.
    """

    def device_part(mine: Any) -> Any:
        everyone = jax.tree.map(lambda x: jax.lax.all_gather(x, DATA, tiled=True), mine)
        n = jax.tree.leaves(mine)[0].shape[0]
        k = min(size, n)

        def cut(x: jax.Array) -> jax.Array:
            padded = jnp.pad(x, [(0, -n % k)] + [(0, 0)] * (x.ndim - 1))
            return padded.reshape(-1, k, *x.shape[1:])

        sums = jax.lax.map(jax.checkpoint(lambda anchors: block(anchors, everyone)), jax.tree.map(cut, mine))
        return jax.tree.map(lambda x: jax.lax.psum(x.sum(0), DATA), sums)

    return jax.shard_map(device_part, mesh=mesh, in_specs=P(DATA), out_specs=P())(rows)
