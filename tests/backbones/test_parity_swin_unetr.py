"""The encoder of Swin UNETR beside MONAI's, with the merging of today and with that of the years of its weights."""

import functools

import jax
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained, weight_file
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
# grids of 16 24 20 and 8 12 10 tokens are filled up and moved, those of 4 6 5 and 2 3 3 shrink the window
EVEN = BatchSpec(1, 32, 48, 40, 1)
# sides that no patch divides; grids of 5 17 26, 3 9 13, 2 5 7 and 1 3 4 tokens have odd ones before each merging; the
# window shrinks along the first axis only, then in all but one, whose side it has, then in all
ODD = BatchSpec(2, 9, 33, 51, 1)


def _encoder(channels):
    from monai.networks.nets.swin_unetr import SwinTransformer

    return SwinTransformer(channels, 48, (7, 7, 7), (2, 2, 2), (2, 2, 2, 2), (3, 6, 12, 24))


def _enliven(net):
    """Biases of distance are next to nothing in a fresh net: draw them so that they matter."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias_table"):
                parameter.normal_(0, 0.5)


def _merge_as_before(net):
    """Give MONAI's merging the neighbours that it had until 1.4."""
    import torch

    def forward(part, x):
        x = torch.nn.functional.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        first = [x[:, a::2, b::2, c::2] for a, b, c in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1))]
        x = torch.cat([*first, first[2], first[3], x[:, 1::2, 1::2, 1::2]], -1)
        return part.reduction(part.norm(x))

    for part in net.modules():
        if type(part).__name__ == "PatchMerging":
            part.forward = functools.partial(forward, part)


@pytest.mark.parametrize(
    ("name", "spec"),
    [("swin_unetr", EVEN), ("swin_unetr", ODD), ("swin_unetr_monai09", ODD)],
)
def test_the_encoder_equals_monai(name, spec):
    from tests.backbones.parity import TRANSFORMER, compare

    net = _encoder(spec.c)
    _enliven(net)
    if name == "swin_unetr_monai09":
        _merge_as_before(net)
    compare(name, "MONAI, SwinTransformer", net, lambda x: net(x)[-1].mean((2, 3, 4)), spec, bound=TRANSFORMER)


def test_the_encoder_of_a_whole_segmenter_equals_monai():
    from monai.networks.nets.swin_unetr import SwinUNETR

    from tests.backbones.parity import TRANSFORMER, compare

    net = SwinUNETR(in_channels=3, out_channels=2, feature_size=48)
    _enliven(net)
    deepest = []
    # what the decoder gets, whatever the encoder is called with
    net.encoder10.register_forward_pre_hook(lambda _, inputs: deepest.append(inputs[0]))

    def embed(x):
        net(x)
        return deepest.pop().mean((2, 3, 4))

    spec, others = BatchSpec(1, 64, 32, 32, 3), ("encoder", "decoder", "out.")
    compare("swin_unetr", "MONAI, SwinUNETR", net, embed, spec, bound=TRANSFORMER, heads=others)


def test_self_supervised_weights_go_where_monai_puts_them(tmp_path):
    import torch
    from monai.networks.nets.swin_unetr import SwinUNETR

    source = _encoder(1).state_dict()
    file = {f"module.{key.replace('linear', 'fc')}": value for key, value in source.items()}
    net = SwinUNETR(in_channels=1, out_channels=2, feature_size=48)
    net.load_from({"state_dict": file})
    torch.save({"state_dict": file | {"module.rotation_head.weight": torch.zeros(4, 768)}}, tmp_path / "ssl.pt")
    converted = weight_file.read(tmp_path / "ssl.pt")  # the only way for it into a run
    merged = {key: value.numpy() for key, value in net.state_dict().items()}

    backbone = backbones.create("swin_unetr_monai09")
    found = []
    for library, tensors in (("MONAI, self-supervised", converted), ("MONAI, SwinUNETR", merged)):
        assert not pretrained.differences(tensors, backbone, EVEN, backbone.names[library])
        found.append(pretrained.convert(tensors, backbone, EVEN, backbone.names[library]))
    jax.tree.map(np.testing.assert_array_equal, *found)
