"""ResNet over volumes beside MONAI's with the arguments that MedicalNet's weights need, and beside torchvision's."""

import functools

import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
SPEC = BatchSpec(2, 48, 64, 40, 1)


def _shortcut(x, planes, stride):
    """Type A with its gradient: MONAI's and MedicalNet's own read ``.data``, which cuts it."""
    import torch

    x = x[:, :, ::stride, ::stride, ::stride]
    return torch.cat([x, x.new_zeros(len(x), planes - x.shape[1], *x.shape[2:])], 1)


@pytest.mark.parametrize(
    ("name", "depth", "shortcut"),
    [
        ("resnet3d_10", 10, "B"),
        ("resnet3d_18", 18, "A"),
        ("resnet3d_34", 34, "A"),
        ("resnet3d_50", 50, "B"),
        ("resnet3d_18b", 18, "B"),
        ("resnet3d_34b", 34, "B"),
    ],
)
def test_resnet3d_equals_monai(name, depth, shortcut):
    import torch
    from monai.networks import nets

    from learner_jax import backbones
    from learner_jax.backbones import pretrained
    from tests.backbones.parity import compare

    build = getattr(nets, f"resnet{depth}")
    net = build(n_input_channels=1, feed_forward=False, conv1_t_stride=2, shortcut_type=shortcut, bias_downsample=False)
    if shortcut == "A":
        x = torch.randn(1, 1, 64, 64, 64)
        before = net.eval()(x)
        for layer in (net.layer2, net.layer3, net.layer4):
            given = layer[0].downsample.keywords
            layer[0].downsample = functools.partial(_shortcut, planes=given["planes"], stride=given["stride"])
        assert torch.equal(net(x), before)
    compare(name, "monai", net, net, SPEC, double=depth == 50)

    backbone = backbones.create(name)
    tensors = {f"module.{key}": tensor.numpy() for key, tensor in net.state_dict().items()}
    assert not pretrained.differences(tensors, backbone, SPEC, backbone.names["medicalnet"])


# the first depth is more than the receptive field, so that no voxel of the last map sees both ends
@pytest.mark.parametrize(
    ("name", "published", "depths"),
    [
        ("resnet3d_18b", "resnet18", (448, 480)),
        ("resnet3d_34b", "resnet34", (928, 960)),
        ("resnet3d_50", "resnet50", (512, 544)),
        ("densenet3d_121", "densenet121", (2080, 2112)),
    ],
)
def test_a_still_volume_has_the_embedding_of_its_picture_away_from_the_ends(name, published, depths):
    import jax
    import jax.numpy as jnp
    import numpy as np
    import torch

    from learner_jax import backbones
    from learner_jax.backbones import pretrained
    from tests.backbones.parity import _draw_statistics
    from tests.backbones.published import torchvision

    rng = np.random.default_rng(0)
    net = getattr(torchvision().models, published)()
    _draw_statistics(net, rng)
    tensors = {key: tensor.numpy().copy() for key, tensor in net.state_dict().items()}
    backbone, spec = backbones.create(name), BatchSpec(1, 32, 32, 32, 3)
    assert not pretrained.differences(tensors, backbone, spec, backbone.names["torchvision"])
    variables = pretrained.convert(tensors, backbone, spec, backbone.names["torchvision"])
    picture = rng.normal(size=(32, 32, 3))

    setattr(net, "classifier" if hasattr(net, "classifier") else "fc", torch.nn.Identity())
    expected = net.double().eval()(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].detach().numpy()

    @jax.jit
    def total(scan):
        return backbone.apply(variables, scan, jnp.ones(1, bool), train=False)[0][0] * (scan.shape[1] // 32)

    with jax.enable_x64(True):
        variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)
        # both sums hold what the ends did, alike; what one slice more of the last map adds is from the inside
        short, long = (total(jnp.broadcast_to(picture, (1, depth, 32, 32, 3))) for depth in depths)
        inside = np.asarray(long - short)
    np.testing.assert_allclose(inside, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
