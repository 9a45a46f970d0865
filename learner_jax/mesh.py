"""Devices -> mesh; where batches and everything else live.

One code path from one CPU to many hosts: ``jax.jit`` over this mesh. Axes are Auto on purpose: with Explicit axes, the
default of ``jax.make_mesh``, stock layers of Flax refuse sharded inputs (jax 0.10 to 0.12).
"""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from tfds_builders.errors import InputError

DATA = "data"  # the axis over which a global batch is cut


def make_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A mesh with one axis, ``data``, over all devices (or the given ones)."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (DATA,), axis_types=(AxisType.Auto,), devices=devices)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Leading axis cut over the devices."""
    return NamedSharding(mesh, P(DATA))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same value on every device."""
    return NamedSharding(mesh, P())


def replicated_shapes(tree: Any, mesh: Mesh) -> Any:
    """Shapes and dtypes of a tree, each to live on every device: where restored arrays are born."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh)), tree)


def check_batch_size(batch_size: int, mesh: Mesh, field: str) -> None:
    """Refuse a global batch that does not divide over the devices.

    Raises:
      InputError: with the nearest sizes that do.
    """
    n = mesh.devices.size
    if batch_size % n:
        below, above = batch_size // n * n, -(-batch_size // n) * n
        sizes = f"{below} or {above}" if below else f"{above}"
        raise InputError(f"{field} is {batch_size}, which {n} devices cannot share evenly; set --{field}={sizes}")


def to_global(mesh: Mesh, local: Any) -> Any:
    """This process's rows of a batch, an array or a tree of arrays -> the same of global arrays, cut over the devices.

    A tree goes in one call: array by array 11 of them take 0.67 ms instead of 0.29 (batch of 32, November 2026).
    """
    return jax.make_array_from_process_local_data(batch_sharding(mesh), local)
