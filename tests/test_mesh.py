"""The mesh: slices are replicas, axes divide the devices, and each process holds the rows of its places."""

import dataclasses

import jax
import numpy as np
import pytest

from learner_jax.config import MeshConfig
from learner_jax.mesh import batch_sharding, local_rows, make_mesh
from tfds_builders.errors import InputError


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (MeshConfig(), (1, 1, 8)),
        (MeshConfig(fsdp=4), (1, 4, 2)),
        (MeshConfig(replica=2), (2, 1, 4)),
        (MeshConfig(replica=2, fsdp=4), (2, 4, 1)),
    ],
)
def test_axes_divide_the_devices(config, shape):
    mesh = make_mesh(config=config)
    assert mesh.axis_names == ("replica", "fsdp", "data")
    assert mesh.devices.shape == shape
    assert [device.id for device in mesh.devices.flat] == [device.id for device in jax.devices()]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (MeshConfig(fsdp=3), r"config.mesh.fsdp is 3, which does not divide the 8 devices of a replica; 1, 2, 4, 8 do"),
        (
            MeshConfig(replica=3),
            r"config.mesh.replica is 3, which cannot divide 8 devices in 1 slices into equal groups",
        ),
        (
            MeshConfig(replica=4, fsdp=8),
            r"config.mesh.fsdp is 8, which does not divide the 2 devices of a replica; 1, 2 do",
        ),
    ],
)
def test_what_does_not_divide_is_refused_with_what_does(config, told):
    with pytest.raises(InputError, match=told):
        make_mesh(config=config)


@dataclasses.dataclass(frozen=True)
class Device:
    """As much of a device of a run of several hosts as the mesh looks at."""

    id: int
    slice_index: int
    platform: str
    coords: tuple[int, int, int] = (0, 0, 0)
    core_on_chip: int = 0
    process_index: int = 0
    device_kind: str = "any"


def test_each_slice_is_a_replica():
    devices = [Device(i, i % 2, "tpu", (i // 2 % 2, i // 4, 0)) for i in range(8)]  # as they come, slices mixed
    mesh = make_mesh(devices, MeshConfig(fsdp=2))
    assert mesh.devices.shape == (2, 2, 2)
    for replica in range(2):
        assert {device.slice_index for device in mesh.devices[replica].flat} == {replica}


@pytest.mark.parametrize("fsdp", [2, 8])
def test_hosts_of_gpus_are_no_slices(fsdp):
    devices = [Device(i, i // 2, "gpu") for i in range(8)]  # JAX numbers hosts so
    assert make_mesh(devices, MeshConfig(fsdp=fsdp)).devices.shape == (1, fsdp, 8 // fsdp)


@pytest.mark.parametrize("config", [MeshConfig(), MeshConfig(fsdp=4), MeshConfig(replica=2, fsdp=2)])
def test_a_process_holds_the_rows_of_its_devices_in_order(config):
    mesh = make_mesh(config=config)
    np.testing.assert_array_equal(local_rows(mesh, 16), np.arange(16))
    rows = jax.device_put(np.arange(16), batch_sharding(mesh))
    assert sorted(shard.data.tolist() for shard in rows.addressable_shards) == [[i, i + 1] for i in range(0, 16, 2)]
