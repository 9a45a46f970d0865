"""Distances of parameters from the embedding: against what was counted by hand in each architecture."""

import pytest
from flax.traverse_util import flatten_dict

from learner_jax import backbones
from learner_jax.batch import BatchSpec
from tests.backbones.zoo import ROWS

COUNTED = {
    "tsm_resnet18": {"layer4/1": 1, "layer4/0": 2, "layer3/1": 3, "layer1/0": 8, "conv1": 9, "norm1": 9},
    "tsn_resnet50": {"layer4/2": 1, "layer3/5": 4, "layer1/0": 16, "conv1": 17},
    "tsm_efficientnet_lite0": {"head": 0, "blocks/6/0": 1, "blocks/5/3": 2, "blocks/0/0": 16, "stem": 17},
    "r3d18": {"layer4/1": 1, "layer1/0": 8, "stem": 9},
    "x3d_s": {"head": 0, "stage4/6": 1, "stage1/0": 26, "stem": 27},
    # the slow pathway waits for the fast one where they fuse
    "slowfast_r50": {"slow/stage4/2": 1, "fast/stage4/2": 2, "fuse/3": 4, "fuse/0": 17, "slow/stem": 18},
    "mvitv2_s": {"norm": 0, "blocks/15": 1, "blocks/0": 16, "conv_proj": 17, "class_token": 17},
    "swin3d_t": {"norm": 0, "features/6/1": 1, "features/5": 3, "features/0/0": 15, "patch_embed": 16},
    "videomae_vit_s": {"fc_norm": 0, "blocks/11": 1, "blocks/0": 12, "patch_embed": 13},
    "vit_s16": {"norm": 0, "blocks/11": 1, "blocks/0": 12, "patch_embed": 13, "pos_embed": 13, "cls_token": 13},
    "resnet3d_10": {"layer4/0": 1, "layer1/0": 4, "conv1": 5},
    "densenet3d_121": {
        **{"norm5": 0, "denseblock4/denselayer16": 1, "denseblock4/denselayer1": 16, "transition3": 17},
        **{"denseblock3/denselayer24": 18, "denseblock1/denselayer1": 61, "conv0": 62},
    },
    "sfcn": {"blocks/5": 1, "blocks/0": 6},
    "lilac_cnn3d": {"blocks/3": 1, "blocks/0": 4},
    "swin_unetr": {"layers4/downsample": 0, "layers4/blocks/1": 1, "layers1/blocks/0": 11, "patch_embed": 12},
    "vit3d_b16": {"norm": 0, "blocks/11": 1, "blocks/0": 12, "cls_token": 13},
}  # fmt: skip


SECONDS = ("tsn_resnet50", "tsm_efficientnet_lite0", "r3d18", "x3d_s", "mvitv2_s", "densenet3d_121")  # to trace each


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SECONDS)) for name in COUNTED])
def test_blocks_from_a_parameter_to_the_embedding_are_those_counted_by_hand(name):
    backbone, spec = backbones.create(name), ROWS[name].spec
    every = backbone.distances(spec)
    for prefix, distance in COUNTED[name].items():
        assert {n for path, n in every.items() if path.startswith(f"{prefix}/") or path == prefix} == {distance}, prefix
    assert len(every) == len(flatten_dict(backbone.shapes(spec)["params"]))
    assert set(every.values()) >= set(range(1, max(every.values()) + 1))  # no block is left out


def test_the_batch_and_the_scan_change_none():
    backbone = backbones.create("tsm_resnet18-test")
    assert backbone.distances(BatchSpec(1, 2, 32, 32, 1)) == backbone.distances(BatchSpec(8, 4, 64, 48, 1))
