"""Video Swin beside torchvision's, and beside its Swin of pictures on clips that stand still."""

import functools

import numpy as np
import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    ("size", "spec"),
    [
        # grids of 16, 8, 4, 2 tokens a side: filled up and moved twice, then shrunk twice
        ("t", BatchSpec(2, 4, 64, 64, 3)),
        # moved in time also, odd sides before and after each merging, nothing a multiple of a patch
        ("t", BatchSpec(1, 19, 70, 49, 3)),
        ("s", BatchSpec(1, 4, 64, 64, 3)),
        ("b", BatchSpec(1, 4, 64, 64, 3)),
    ],
)
def test_swin3d_equals_torchvision(size, spec):
    import torch

    from tests.backbones.parity import TRANSFORMER, compare
    from tests.backbones.published import torchvision

    net = getattr(torchvision().models.video, f"swin3d_{size}")()
    _enliven(net)
    net.head = torch.nn.Identity()
    compare(f"swin3d_{size}", "torchvision", net, net, spec, bound=TRANSFORMER)


def test_a_clip_that_stands_still_gives_what_swin_gives_for_its_picture():
    import jax
    import jax.numpy as jnp
    import torch

    from learner_jax import backbones
    from learner_jax.backbones import pretrained
    from tests.backbones.parity import TRANSFORMER
    from tests.backbones.published import torchvision

    net = torchvision().models.swin_t().eval()
    _enliven(net)
    net.head = torch.nn.Identity()
    backbone, spec = backbones.create("swin3d_t"), BatchSpec(1, 4, 224, 224, 3)
    names = backbone.names["torchvision, pictures"]
    tensors = {key: value.detach().numpy() for key, value in net.state_dict().items()}
    assert not pretrained.differences(tensors, backbone, spec, names)
    variables = pretrained.convert(tensors, backbone, spec, names)

    picture = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    scan = jnp.asarray(np.repeat(picture[:, None], spec.t, 1))
    with jax.default_matmul_precision("highest"):
        u, _ = jax.jit(functools.partial(backbone.apply, train=False))(variables, scan, jnp.ones(1, bool))
    v = net(torch.from_numpy(np.moveaxis(picture, -1, 1).copy())).detach().numpy()
    assert np.abs(u - v).max() <= TRANSFORMER * np.abs(v).max()


def _enliven(net):
    """Biases of a fresh net are next to nothing: draw them so that they matter. No block is left out in training."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("bias", "bias_table")):
                parameter.normal_(0, 0.5 if name.endswith("table") else 0.1)
    for part in net.modules():
        if type(part).__name__ == "StochasticDepth":
            part.p = 0.0
