"""SlowFast beside pytorchvideo's."""

import numpy as np
import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


def test_the_net_equals_pytorchvideos():
    import torch

    from tests.backbones.parity import compare
    from tests.backbones.published import torchvision

    torchvision()  # pytorchvideo imports it
    from pytorchvideo.models import hub
    from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

    net = hub.slowfast_r50(head=None)
    # published with the windows of the clips that it was trained on
    net.blocks[-1].pool = torch.nn.ModuleList(torch.nn.AdaptiveAvgPool3d(1) for _ in range(2))

    def embed(x):
        return net(uniform_temporal_subsample_repeated(x, (4, 1), temporal_dim=2)).flatten(1)

    compare("slowfast_r50", "pytorchvideo", net, embed, BatchSpec(2, 8, 33, 46, 3))


def test_the_slow_pathway_sees_the_frames_of_pytorchvideo():
    import torch

    from learner_jax.backbones.slowfast import slow_frames
    from tests.backbones.published import torchvision

    torchvision()
    from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

    for frames in range(4, 160, 4):
        seen, _ = uniform_temporal_subsample_repeated(torch.arange(frames), (4, 1), temporal_dim=0)
        np.testing.assert_array_equal(slow_frames(frames), seen)
