"""Files of Swin UNETR's self-supervised training, whose encoder is beside the heads of its three tasks."""

import functools

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.backbones import convert, pretrained
from learner_jax.batch import BatchSpec
from tests.backbones import saved

HEADS = {
    "rotation_head.weight": (4, 48),
    "rotation_head.bias": (4,),
    "contrastive_head.weight": (16, 48),
    "contrastive_head.bias": (16,),
    "conv.0.weight": (24, 48, 3, 3, 3),
    "conv.3.bias": (12,),
}


@pytest.mark.parametrize("library", ["MONAI, SwinUNETR", "MONAI, self-supervised"])
def test_the_encoder_of_a_self_supervised_file_loads_without_its_heads(library, tmp_path):
    backbone, spec = backbones.create("swin_unetr-test"), BatchSpec(1, 32, 32, 32, 1)
    variables = jax.device_get(jax.jit(functools.partial(backbone.init, spec=spec))(jax.random.key(0)))
    arrays = {f"module.{name}": np.zeros(shape, np.float32) for name, shape in HEADS.items()}
    for path, leaf in flatten_dict(variables["params"]).items():
        (name,), _ = backbone.names[library].of("/".join(path))
        value = np.moveaxis(leaf, (-1, -2), (0, 1)) if path[-1] == "kernel" else leaf
        table = value.reshape(-1, value.shape[-1]) if "bias_table" in path[-1] else value
        arrays[f"module.{name}"] = np.ascontiguousarray(table)
    checkpoint = {"epoch": 3, "state_dict": {name: saved.of(name, array) for name, array in arrays.items()}}
    assert convert.main([str(saved.WRITERS["zip"](tmp_path / "ssl.pt", checkpoint, arrays))]) == 0
    loaded = pretrained.load(tmp_path / "ssl.safetensors", backbone, spec, (0.5,) * 3, (0.5,) * 3)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
