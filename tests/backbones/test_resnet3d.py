"""ResNet over volumes: kernels of pictures in it, and its shortcut without parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from learner_jax import backbones
from learner_jax.backbones import convert, pretrained
from learner_jax.backbones.resnet3d import ShortcutA
from learner_jax.batch import BatchSpec
from tests.backbones import saved


def test_a_still_volume_has_the_embedding_of_its_picture_away_from_the_ends():
    rng = np.random.default_rng(0)
    flat, solid = backbones.create("tsn_resnet50-test"), backbones.create("resnet3d50-test")
    variables = jax.jit(functools.partial(flat.init, spec=BatchSpec(1, 1, 32, 32, 1)))(jax.random.key(0))
    tensors = {}
    for path, leaf in flatten_dict(variables).items():
        (name,), _ = flat.names["torchvision"].of("/".join(path[1:]))
        value = rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32) if path[-1] == "var" else np.asarray(leaf)
        tensors[name] = value if path[-1] != "kernel" else np.moveaxis(value, (-1, -2), (0, 1))
    spec = BatchSpec(1, 64, 32, 32, 1)
    picture = jnp.asarray(rng.normal(size=(1, 1, 32, 32, 1)), jnp.float32)

    def embed(backbone, spec):
        loaded = pretrained.convert(tensors, backbone, spec, backbone.names["torchvision"])
        scan = jnp.broadcast_to(picture, spec.shape)
        return jax.jit(functools.partial(backbone.apply, train=False))(loaded, scan, jnp.ones(1, bool))[0][0]

    assert not pretrained.differences(tensors, solid, spec, solid.names["torchvision"])
    expected = embed(flat, BatchSpec(1, 1, 32, 32, 1))
    # a voxel of the last map sees 51 slices; 8 slices more are one more voxel, from the inside
    inside = 9 * embed(solid, BatchSpec(1, 72, 32, 32, 1)) - 8 * embed(solid, spec)
    np.testing.assert_allclose(inside, expected, atol=1e-5 * np.abs(expected).max())


def test_the_shortcut_without_parameters_takes_every_second_voxel_and_passes_its_gradient():
    shortcut = ShortcutA(2, 3, 2, nnx.Module, nnx.Rngs(0))
    x = jnp.arange(2 * 3 * 4 * 5 * 2, dtype=jnp.float32).reshape(2, 3, 4, 5, 2)
    y, back = jax.vjp(lambda x: shortcut(x, jnp.ones(2, bool), True), x)
    expected = np.zeros((2, 2, 2, 3, 3))
    passed = np.zeros(x.shape)
    for i, j, k in np.ndindex(2, 2, 3):
        expected[:, i, j, k, :2] = x[:, 2 * i, 2 * j, 2 * k]
        passed[:, 2 * i, 2 * j, 2 * k] = 1
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(back(jnp.ones_like(y))[0], passed)


def test_a_checkpoint_of_medicalnet_loads_with_the_head_of_its_segmentation(tmp_path):
    backbone, spec = backbones.create("resnet3d-test"), BatchSpec(1, 32, 32, 32, 1)
    variables = jax.device_get(jax.jit(functools.partial(backbone.init, spec=spec))(jax.random.key(0)))
    arrays = {"module.conv_seg.0.weight": np.zeros((16, 4, 2, 2, 2), np.float32)}
    arrays |= {"module.conv_seg.1.running_var": np.ones(4, np.float32)}
    for path, leaf in flatten_dict(variables).items():
        (name,), _ = backbone.names["medicalnet"].of("/".join(path[1:]))
        arrays[name] = np.ascontiguousarray(np.moveaxis(leaf, (-1, -2), (0, 1)) if path[-1] == "kernel" else leaf)
    assert "module.layer1.0.bn1.running_mean" in arrays
    checkpoint = {"epoch": 3, "state_dict": {name: saved.of(name, array) for name, array in arrays.items()}}
    assert convert.main([str(saved.WRITERS["stream"](tmp_path / "resnet.pth", checkpoint, arrays))]) == 0
    save_file(arrays, tmp_path / "of_other_software.safetensors")
    for file in ("resnet", "of_other_software"):
        loaded = pretrained.load(tmp_path / f"{file}.safetensors", backbone, spec, (0.5,) * 3, (0.5,) * 3)
        jax.tree.map(np.testing.assert_array_equal, loaded, variables)
