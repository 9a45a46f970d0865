"""Where a run's state lives: whole on every device, or sharded over those that share a copy (``config.mesh.fsdp``)."""

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from learner_jax.mesh import FSDP, replicated
from learner_jax.pytree import path_text

SMALLEST = 2**14  # elements of the smallest array worth sharding; below, the exchange costs more than the memory


def place(leaf: Any, mesh: Mesh) -> NamedSharding:
    """The sharding of an array: along its longest axis that ``fsdp`` divides, or replicated.

    Args:
      leaf: an array, or its shape and dtype.
      mesh: of :func:`learner_jax.mesh.make_mesh`.
    """
    n = mesh.shape[FSDP]
    axes = [axis for axis, length in enumerate(leaf.shape) if length % n == 0]
    if n == 1 or not axes or math.prod(leaf.shape) < SMALLEST:
        return replicated(mesh)
    longest = max(axes, key=lambda axis: leaf.shape[axis])
    return NamedSharding(mesh, P(*(FSDP if axis == longest else None for axis in range(longest + 1))))


def places(tree: Any, mesh: Mesh) -> Any:
    """:func:`place` of every leaf."""
    return jax.tree.map(lambda leaf: place(leaf, mesh), tree)


def placed_shapes(tree: Any, mesh: Mesh) -> Any:
    """Shapes, dtypes and shardings of a tree's leaves, as restoring a checkpoint needs them."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place(leaf, mesh)), tree)


def on_host(tree: Any) -> Any:
    """The arrays as whole NumPy arrays on every process; sharded ones are gathered one at a time."""

    def whole(leaf: Any) -> np.ndarray:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_replicated:
            leaf = jax.jit(lambda x: x, out_shardings=replicated(leaf.sharding.mesh))(leaf)
        return np.asarray(leaf)

    return jax.tree.map(whole, tree)


def describe(params: Any, mesh: Mesh) -> list[str]:
    """A line for each sharded array."""
    n, lines = mesh.shape[FSDP], []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        cut = [axis for axis, name in enumerate(place(leaf, mesh).spec) if name]
        if cut:
            shape = "x".join(f"{length}/{n}" if axis in cut else str(length) for axis, length in enumerate(leaf.shape))
            mib = math.prod(leaf.shape) * leaf.dtype.itemsize / n / 2**20
            lines.append(f"{path_text(path)} {shape} {leaf.dtype}: {mib:.2f} MiB a device")
    return lines
