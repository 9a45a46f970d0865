"""R3D and R(2+1)D beside torchvision's."""

import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(("name", "published"), [("r3d18", "r3d_18"), ("r2plus1d18", "r2plus1d_18")])
def test_the_net_equals_torchvisions(name, published):
    import torch

    from tests.backbones.parity import compare
    from tests.backbones.published import torchvision

    net = getattr(torchvision().models.video, published)()
    net.fc = torch.nn.Identity()
    # odd and unequal sizes, so that no border falls together with another
    compare(name, "torchvision", net, net, BatchSpec(2, 5, 41, 52, 3))
