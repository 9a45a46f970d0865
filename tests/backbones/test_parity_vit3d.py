"""ViT over volumes beside MONAI's, and BrainIAC's names."""

import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.backbones.adapt import resize_positions
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
READS = {"": lambda tokens: tokens[:, 0], "_first": lambda tokens: tokens[:, 0], "_mean": lambda tokens: tokens.mean(1)}


def _monai(spec, read, depth=12):
    from monai.networks.nets import ViT

    return ViT(spec.c, (spec.t, spec.h, spec.w), (16, 16, 16), num_layers=depth, classification=not read)


@pytest.mark.parametrize(
    ("read", "spec"),
    [
        ("", BatchSpec(2, 64, 64, 64, 1)),
        ("_first", BatchSpec(2, 16, 48, 32, 1)),
        ("_mean", BatchSpec(2, 32, 16, 48, 3)),
    ],
)
def test_vit3d_equals_monai(read, spec):
    import torch

    from tests.backbones.parity import TRANSFORMER, compare

    torch.manual_seed(0)
    net = _monai(spec, read)
    idle = tuple(f"blocks.{i}.norm_cross_attn." for i in range(12))
    if not read:
        net.classification_head = torch.nn.Identity()
        torch.nn.init.normal_(net.cls_token)  # zeros, by MONAI

    def embed(x):
        tokens, _ = net(x)
        return tokens if not read else READS[read](tokens)

    compare(f"vit3d_b16{read}", "monai", net, embed, spec, bound=TRANSFORMER, heads=idle)


@pytest.mark.parametrize("grid", [(6, 6, 6), (4, 6, 7), (10, 12, 10)])
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_brainiac_loads_for_any_grid(prefix, grid, tmp_path):
    from safetensors.torch import save_file

    published = _monai(BatchSpec(1, 96, 96, 96, 1), "_first").state_dict()
    tensors = {f"{prefix}{key}": value for key, value in published.items()}
    if prefix:  # what its pretraining leaves beside the backbone
        tensors["projection.0.weight"] = tensors["backbone.norm.weight"].clone()
    save_file(tensors, tmp_path / "backbone.safetensors")
    spec = BatchSpec(1, *(16 * n for n in grid), 1)
    for read in ("_first", "_mean"):
        backbone = backbones.create(f"vit3d_b16{read}")
        params = pretrained.load(tmp_path / "backbone.safetensors", backbone, spec, (0.5,) * 3, (0.25,) * 3)["params"]
        table = tensors[f"{prefix}patch_embedding.position_embeddings"].numpy()
        assert params["pos_embed"].shape == (*grid, 768)
        np.testing.assert_array_equal(params["pos_embed"], resize_positions(table, grid))
        if grid == (6, 6, 6):
            np.testing.assert_array_equal(params["pos_embed"].reshape(table.shape), table)
