"""DenseNet over volumes beside MONAI's."""

import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


def test_densenet3d_equals_monai():
    from monai.networks.nets import DenseNet121

    from tests.backbones.parity import compare

    net = DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)

    def embed(x):
        head = net.class_layers
        return head.flatten(head.pool(head.relu(net.features(x))))

    compare("densenet3d_121", "monai", net, embed, BatchSpec(2, 48, 64, 72, 1), heads=("class_layers.",))
