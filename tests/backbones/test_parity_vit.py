"""ViT over frames beside timm's, and positions resized beside timm's resampling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.backbones import pretrained
from learner_jax.backbones.adapt import resize_positions
from learner_jax.batch import BatchSpec

pytestmark = pytest.mark.parity


def _timm():
    from tests.backbones.published import torchvision

    torchvision()  # timm imports it
    import timm

    return timm


@pytest.mark.parametrize(
    ("name", "published", "spec"),
    [
        ("vit_s16", "vit_small_patch16_224", BatchSpec(1, 2, 224, 224, 3)),
        ("vit_s16", "vit_small_patch16_224", BatchSpec(2, 1, 64, 160, 1)),
        ("vit_b16", "vit_base_patch16_224", BatchSpec(1, 1, 224, 224, 3)),
    ],
)
def test_vit_equals_timm(name, published, spec):
    from tests.backbones.parity import TRANSFORMER, compare

    net = _timm().create_model(published, num_classes=0, in_chans=spec.c, img_size=(spec.h, spec.w))

    def embed(x):
        return net(x.transpose(1, 2).flatten(0, 1)).reshape(len(x), spec.t, -1).mean(1)

    compare(name, "timm", net, embed, spec, bound=TRANSFORMER)


@pytest.mark.parametrize("grid", [(14, 14), (7, 7), (24, 24), (8, 20), (15, 13), (2, 2), (1, 3)])
def test_positions_are_resized_as_timm_does(grid):
    import torch

    _timm()
    from timm.layers import resample_abs_pos_embed

    table = np.random.default_rng(0).normal(size=(1, 1 + 14 * 14, 24))
    ours = resize_positions(table[0, 1:], grid)
    theirs = resample_abs_pos_embed(torch.from_numpy(table), list(grid)).numpy()
    # timm goes through float32, weights of the kernel included: 3e-6 of it, and nothing in float64
    np.testing.assert_allclose(ours, theirs[0, 1:].reshape(*grid, -1), rtol=0, atol=1e-5)
    image = torch.from_numpy(table[0, 1:].T.reshape(1, 24, 14, 14))
    exact = torch.nn.functional.interpolate(image, size=grid, mode="bicubic", antialias=True).numpy()
    np.testing.assert_allclose(ours, np.moveaxis(exact[0], 0, -1), rtol=0, atol=1e-12)


def test_weights_for_another_grid_give_what_timm_gives_when_it_loads_them():
    import torch

    from tests.backbones.parity import TRANSFORMER

    timm = _timm()
    from timm.models.vision_transformer import checkpoint_filter_fn

    trained = timm.create_model("vit_small_patch16_224", num_classes=0)
    net = timm.create_model("vit_small_patch16_224", num_classes=0, img_size=(96, 64))
    net.load_state_dict(checkpoint_filter_fn(trained.state_dict(), net))

    spec = BatchSpec(2, 1, 96, 64, 3)
    backbone = backbones.create("vit_s16")
    tensors = {key: value.numpy() for key, value in trained.state_dict().items()}
    assert not pretrained.differences(tensors, backbone, spec, backbone.names["timm"])
    variables = pretrained.convert(tensors, backbone, spec, backbone.names["timm"])
    scan = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(functools.partial(backbone.apply, train=False))
        u, _ = apply(variables, jnp.asarray(scan), jnp.ones(spec.b, bool))
    with torch.no_grad():
        v = net.eval()(torch.from_numpy(np.moveaxis(scan[:, 0], -1, 1).copy())).numpy()
    assert np.abs(u - v).max() <= TRANSFORMER * np.abs(v).max()
