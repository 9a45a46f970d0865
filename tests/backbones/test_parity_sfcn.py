"""SFCN beside the paper's net, written anew in PyTorch from its description: no package holds the authors' own.

The names of the tensors are those of the authors' published weights.
"""

from collections import OrderedDict

import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
WIDTHS = (32, 64, 128, 256, 256, 64)


def _published():
    from torch import nn

    features, c_in = OrderedDict(), 1
    for i, c_out in enumerate(WIDTHS):
        if i < 5:
            parts = nn.Conv3d(c_in, c_out, 3, padding=1), nn.BatchNorm3d(c_out), nn.MaxPool3d(2), nn.ReLU()
        else:
            parts = nn.Conv3d(c_in, c_out, 1), nn.BatchNorm3d(c_out), nn.ReLU()
        features[f"conv_{i}"], c_in = nn.Sequential(*parts), c_out
    net = nn.Module()
    net.feature_extractor = nn.Sequential(features)
    net.classifier = nn.Sequential(OrderedDict(conv_6=nn.Conv3d(64, 40, 1)))
    return net


@pytest.mark.parametrize("size", [(64, 96, 70), (160, 192, 160)], ids=["small", "published"])
def test_sfcn_equals_the_paper_s_net(size):
    from learner_jax import backbones
    from learner_jax.backbones import pretrained
    from tests.backbones.parity import compare

    net = _published()
    spec = BatchSpec(2 if size[0] < 160 else 1, *size, 1)

    def embed(x):
        x = net.feature_extractor(x)
        assert size[0] < 160 or x.shape[2:] == (5, 6, 5)
        return x.mean((2, 3, 4))

    compare("sfcn", "ukbiobank", net, embed, spec, heads=("classifier.",), double=True)

    backbone = backbones.create("sfcn")
    tensors = {f"module.{key}": tensor.numpy() for key, tensor in net.state_dict().items()}
    assert not pretrained.differences(tensors, backbone, spec, backbone.names["ukbiobank in parallel"])
