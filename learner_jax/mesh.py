"""Devices -> mesh; where batches and everything else live.

One code path from one CPU to many slices of a pod: ``jax.jit`` over this mesh. Axes are Auto on purpose: with Explicit
axes, the default of ``jax.make_mesh``, stock layers of Flax refuse sharded inputs (jax 0.10 to 0.12).
"""

import itertools
import os
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from learner_jax.config import MeshConfig
from tfds_builders.errors import InputError
from tfds_builders.wording import plural

FSDP = "fsdp"  # the axis over which parameters and the optimizer's state may be cut
BATCH = ("replica", FSDP, "data")  # the axes over which a global batch is cut: all of them; replica is the slow network


def make_mesh(devices: list | None = None, config: MeshConfig | None = None) -> Mesh:
    """A mesh ``(replica, fsdp, data)`` over all devices, or the given ones, or their descriptions in a topology.

    Devices of one TPU slice share a ``replica``; within one, JAX orders them by how they are wired.

    Raises:
      InputError: the devices cannot be dealt out so.
    """
    config = MeshConfig() if config is None else config
    devices = _found() if devices is None else devices
    slices = [list(group) for _, group in itertools.groupby(sorted(devices, key=_slice), key=_slice)]
    replicas = config.replica or len(slices)
    if replicas % len(slices) or len(devices) % replicas:
        raise InputError(
            f"config.mesh.replica is {replicas}, which cannot cut {len(devices)} devices in {len(slices)} slices into "
            "equal groups; 0 makes each slice one. Set --config.mesh.replica=…"
        )
    within = len(devices) // replicas
    if within % config.fsdp:
        fitting = ", ".join(str(n) for n in range(1, within + 1) if within % n == 0)
        raise InputError(
            f"config.mesh.fsdp is {config.fsdp}, and {within} devices are near each other; {fitting} divide them. "
            "Set --config.mesh.fsdp=…"
        )
    shape = (config.fsdp, within // config.fsdp)
    groups = np.array_split(np.array(list(itertools.chain(*slices)), dtype=object), replicas)
    grid = np.stack([mesh_utils.create_device_mesh(shape, group.tolist()) for group in groups])
    return Mesh(grid, BATCH, axis_types=(AxisType.Auto,) * 3)


def _slice(device: Any) -> int:
    """Of a TPU; for others JAX numbers the hosts so, between which GPUs have no slower network than within a slice."""
    return getattr(device, "slice_index", 0) if device.platform == "tpu" else 0


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Leading axis cut over all devices."""
    return NamedSharding(mesh, P(BATCH))


def _found() -> list:
    """All devices of all processes.

    Raises:
      InputError: there are none of the kind that JAX_PLATFORMS asks for.
    """
    asked = os.environ.get("JAX_PLATFORMS", "")
    try:
        devices = jax.devices()
        if devices[0].platform == "cpu" and asked.split(",")[0] not in ("", "cpu"):
            raise RuntimeError("only CPUs")  # JAX passes over "cuda" in "cuda,cpu" where no driver is
        return devices
    except (AssertionError, RuntimeError) as fault:  # the former where a plug-in is not installed (jax 0.10.2)
        if not asked:
            raise
        raise InputError(
            f"JAX_PLATFORMS is {asked!r}, and JAX finds no such device{f' ({fault})' if str(fault) else ''}. Unset it "
            "to compute on what there is; GPUs need requirements-gpu.txt and NVIDIA's driver, TPUs requirements-tpu.txt"
        ) from fault


def told(mesh: Mesh) -> str:
    """The devices in words: ``1 device: cpu, no GPU or TPU``."""
    kinds = sorted({device.device_kind for device in mesh.devices.flat})
    alone = {device.platform for device in mesh.devices.flat} == {"cpu"}
    return f"{plural(mesh.devices.size, 'device')}: {', '.join(kinds)}" + (", no GPU or TPU" if alone else "")


def replicated(mesh: Mesh) -> NamedSharding:
    """The same value on every device."""
    return NamedSharding(mesh, P())


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """The arrays whole on each device: rows or parameters that are cut are gathered, once, and all that computes with
    them shares what came; their gradient is summed once."""
    return jax.lax.with_sharding_constraint(tree, replicated(mesh))


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


def local_rows(mesh: Mesh, n: int) -> np.ndarray:
    """Which rows of a global batch of ``n`` this process holds, in order: those of its devices' places in the mesh."""
    places = batch_sharding(mesh).addressable_devices_indices_map((n,)).values()
    return np.sort(np.concatenate([np.arange(n)[index] for index in places]))


def to_global(mesh: Mesh, local: Any) -> Any:
    """This process's rows of a batch, an array or a tree of arrays -> the same of global arrays, cut over the devices.

    A tree goes in one call: array by array 11 of them take 0.67 ms instead of 0.29 (batch of 32, November 2026).
    """
    return jax.make_array_from_process_local_data(batch_sharding(mesh), local)
