"""LILAC's encoder of volumes beside the paper's, written anew in PyTorch: the authors' own is in no package.

The names of the tensors are those that the authors' script saves.
"""

import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


def _published():
    from torch import nn

    def block(c_in, c_out):
        part = nn.Module()
        norm, activation = nn.BatchNorm3d(c_out), nn.LeakyReLU(0.2)
        part.conv = nn.Sequential(
            nn.Conv3d(c_in, c_out, 3, padding=1), norm, activation, nn.Identity(), nn.AvgPool3d(2)
        )
        return part

    net = nn.Module()
    net.backbone, net.linear = nn.Module(), nn.Linear(8192, 1, bias=False)
    net.backbone.encoder = nn.Module()
    net.backbone.encoder.conv_blocks = nn.ModuleList([block(1, 16), block(16, 32), block(32, 64), block(64, 16)])
    return net


@pytest.mark.parametrize("size", [(32, 150, 70), (128, 128, 128)], ids=["other", "published"])
def test_lilac_equals_the_paper_s_encoder(size):
    from torch.nn.functional import adaptive_avg_pool3d

    from learner_jax import backbones
    from learner_jax.backbones import pretrained
    from tests.backbones.parity import compare

    net, published = _published(), size[0] == 128
    spec = BatchSpec(1 if published else 2, *size, 1)

    def embed(x):
        for part in net.backbone.encoder.conv_blocks:
            x = part.conv(x)
        return (x if published else adaptive_avg_pool3d(x, 8)).flatten(1)

    compare("lilac_cnn3d", "lilac", net, embed, spec, heads=("linear.",))

    backbone = backbones.create("lilac_cnn3d")
    tensors = {f"module.{key}": tensor.numpy() for key, tensor in net.state_dict().items()}
    assert not pretrained.differences(tensors, backbone, spec, backbone.names["lilac in parallel"])
