"""X3D beside pytorchvideo's."""

import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


def _published(name, **settings):
    from tests.backbones.published import torchvision

    torchvision()  # pytorchvideo imports it
    from pytorchvideo.models import hub

    return getattr(hub, name)(**settings)


def test_x3d_s_equals_pytorchvideos():
    import torch

    from tests.backbones.parity import compare

    net = _published("x3d_s", dropout_rate=0.0, head_activation=None)
    head = net.blocks[-1]
    head.pool.pool = torch.nn.AdaptiveAvgPool3d(1)  # published with the window of the clips that it was trained on
    head.proj = torch.nn.Identity()
    compare("x3d_s", "pytorchvideo", net, net, BatchSpec(2, 5, 33, 46, 3))


def test_x3d_m_is_the_net_that_x3d_s_is():
    tensors = {key: value.numpy() for key, value in _published("x3d_m").state_dict().items()}
    for name in ("x3d_s", "x3d_m"):
        backbone = backbones.create(name)
        spec = BatchSpec(1, 16, 224, 224, 3)
        assert not pretrained.differences(tensors, backbone, spec, backbone.names["pytorchvideo"])
