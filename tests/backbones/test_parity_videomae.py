"""VideoMAE's encoder beside transformers', and files under every name that the hub gives it."""

import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
SIZES = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}


def _transformers():
    from tests.backbones.published import torchvision

    torchvision()  # transformers imports it
    import transformers

    return transformers


def _config(size, spec, **more):
    dim, depth, heads = SIZES[size]
    return _transformers().VideoMAEConfig(
        image_size=(spec.h, spec.w),
        num_frames=spec.t,
        num_channels=spec.c,
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        attn_implementation="eager",
        **more,
    )


@pytest.mark.parametrize(
    ("size", "spec"),
    [
        ("s", BatchSpec(2, 8, 96, 96, 3)),
        ("s", BatchSpec(2, 4, 32, 64, 1)),
        ("b", BatchSpec(1, 8, 80, 80, 3)),
        ("l", BatchSpec(1, 4, 32, 32, 3)),
    ],
)
def test_videomae_equals_transformers(size, spec):
    import torch

    from tests.backbones.parity import TRANSFORMER, compare

    net = _transformers().VideoMAEForVideoClassification(_config(size, spec, num_labels=0))
    _draw_vectors(net)

    def embed(x):
        return net(x.transpose(1, 2)).logits  # no labels: the classifier hands on what it gets

    assert isinstance(net.classifier, torch.nn.Identity)
    compare(f"videomae_vit_{size}", "transformers", net, embed, spec, bound=TRANSFORMER)


@pytest.mark.parametrize("version", ["transformers", "transformers 4"])
@pytest.mark.parametrize(
    ("kind", "library", "mean"),
    [
        ("VideoMAEForVideoClassification", "{}", True),
        ("VideoMAEForPreTraining", "{}, pretrained", False),
        ("VideoMAEModel", "{}, VideoMAEModel", False),
        ("VideoMAEModel", "{}, VideoMAEModel", True),
    ],
)
def test_files_of_every_head_and_version_load(kind, library, mean, version, tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    spec = BatchSpec(1, 2, 32, 32, 3)
    net = getattr(_transformers(), kind)(_config("s", spec, use_mean_pooling=mean))
    _draw_vectors(net)
    tensors = {key: value.detach().numpy() for key, value in net.state_dict().items()}
    if version == "transformers 4":
        tensors = {
            key.replace("attention.query.bias", "attention.q_bias").replace(
                "attention.value.bias", "attention.v_bias"
            ): x
            for key, x in tensors.items()
        }
        assert any("attention.attention.q_bias" in key for key in tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    backbone = backbones.create("videomae_vit_s")
    variables = pretrained.load(tmp_path / "model.safetensors", backbone, spec, (0.5,) * 3, (0.25,) * 3)
    names = library.format(version)
    assert not pretrained.differences(tensors, backbone, spec, backbone.names[names])
    layer = getattr(net, "videomae", net).encoder.layer[7].attention.attention
    ours = variables["params"]["blocks"]["7"]["attn"]
    np.testing.assert_array_equal(ours["q_bias"], layer.query.bias.detach())
    np.testing.assert_array_equal(ours["v_bias"], layer.value.bias.detach())
    np.testing.assert_array_equal(ours["qkv"]["kernel"][:, 384:768], layer.key.weight.detach().T)
    if "," in names:
        np.testing.assert_array_equal(variables["params"]["fc_norm"]["scale"], 1)
        np.testing.assert_array_equal(variables["params"]["fc_norm"]["bias"], 0)


def _draw_vectors(net):
    """Biases and norms start as zeros and ones, which would hide a mix-up."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
