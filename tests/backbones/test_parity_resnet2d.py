"""ResNet over frames beside torchvision's, with the shift of TSM written in PyTorch."""

import pytest

from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
SPEC = BatchSpec(2, 4, 64, 64, 3)


def _shifted(x, frames, shift):
    import torch

    x = x.reshape(-1, frames, *x.shape[1:])
    y, part = x.clone(), x.shape[2] // 8
    if shift == "both":
        y[:, :-1, :part], y[:, -1, :part] = x[:, 1:, :part], 0
        y[:, 1:, part : 2 * part], y[:, 0, part : 2 * part] = x[:, :-1, part : 2 * part], 0
    else:
        y[:, 1:, :part], y[:, 0, :part] = x[:, :-1, :part], 0
    return torch.flatten(y, 0, 1)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize(("kind", "shift"), [("tsn", "none"), ("tsm", "both"), ("tsm_past", "past")])
def test_resnet_equals_torchvision(depth, kind, shift):
    import torch

    from tests.backbones.parity import compare
    from tests.backbones.published import torchvision

    net = getattr(torchvision().models, f"resnet{depth}")()
    if shift != "none":
        for name, part in net.named_modules():
            if name.endswith("conv1") and name != "conv1":
                part.register_forward_pre_hook(lambda _, inputs: (_shifted(inputs[0], SPEC.t, shift),))
    net.fc = torch.nn.Identity()

    def embed(x):
        frames = x.transpose(1, 2).flatten(0, 1)
        return net(frames).reshape(len(x), SPEC.t, -1).mean(1)

    compare(f"{kind}_resnet{depth}", "torchvision", net, embed, SPEC)
