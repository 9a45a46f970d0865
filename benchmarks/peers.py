"""The PyTorch nets that backbones match, built as their users build them, with random weights."""

import dataclasses
from collections.abc import Callable
from typing import Any

from learner_jax.batch import BatchSpec


@dataclasses.dataclass(frozen=True)
class Peer:
    """The published counterpart of a backbone.

    Attributes:
      library: that it comes from.
      build: ``spec -> (module, embed)``; ``embed`` maps ``[b c t h w]`` to ``[b d]``.
      small: scans for a CPU.
      full: scans for an accelerator, of the size that the net was published with.
    """

    library: str
    build: Callable[[BatchSpec], tuple[Any, Callable[[Any], Any]]]
    small: BatchSpec
    full: BatchSpec


def _over_frames(net: Any, spec: BatchSpec) -> Callable[[Any], Any]:
    return lambda x: net(x.transpose(1, 2).flatten(0, 1)).reshape(len(x), spec.t, -1).mean(1)


def _shift(x: Any, frames: int) -> Any:
    """Shift an eighth of the channels by a frame one way and an eighth the other way, as TSM's own code does."""
    import torch

    x = x.reshape(-1, frames, *x.shape[1:])
    y, part = torch.zeros_like(x), x.shape[2] // 8
    y[:, :-1, :part] = x[:, 1:, :part]
    y[:, 1:, part : 2 * part] = x[:, :-1, part : 2 * part]
    y[:, :, 2 * part :] = x[:, :, 2 * part :]
    return y.flatten(0, 1)


def _resnet(depth: int) -> Callable[[BatchSpec], tuple[Any, Callable[[Any], Any]]]:
    def build(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
        import torch

        net = getattr(_torchvision().models, f"resnet{depth}")()
        if spec.c != 3:
            net.conv1 = torch.nn.Conv2d(spec.c, 64, 7, 2, 3, bias=False)
        net.fc = torch.nn.Identity()
        for name, part in net.named_modules():
            if name.endswith(".conv1"):
                part.register_forward_pre_hook(lambda _, inputs: (_shift(inputs[0], spec.t),))
        return net, _over_frames(net, spec)

    return build


def _timm(name: str) -> Callable[[BatchSpec], tuple[Any, Callable[[Any], Any]]]:
    def build(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
        _torchvision()
        import timm

        size = {"img_size": (spec.h, spec.w)} if name.startswith("vit") else {}
        net = timm.create_model(name, num_classes=0, in_chans=spec.c, **size)
        return net, _over_frames(net, spec)

    return build


def _video(name: str, head: str) -> Callable[[BatchSpec], tuple[Any, Callable[[Any], Any]]]:
    def build(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
        import torch

        net = getattr(_torchvision().models.video, name)()
        setattr(net, head, torch.nn.Identity())
        return net, net

    return build


def _mvit(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
    import torch

    from tests.backbones.published import mvit_v2_s

    net = mvit_v2_s(spec.t, spec.h, spec.w)
    net.head = torch.nn.Identity()
    return net, net


def _videomae(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
    _torchvision()
    import transformers

    size = {"image_size": (spec.h, spec.w), "num_frames": spec.t, "num_channels": spec.c}
    config = transformers.VideoMAEConfig(**size, use_mean_pooling=True, attn_implementation="sdpa")
    net = transformers.VideoMAEModel(config)
    return net, lambda x: net(x.transpose(1, 2)).last_hidden_state.mean(1)


def _resnet3d(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
    from monai.networks.nets import resnet18

    settings = {"shortcut_type": "B", "bias_downsample": False}
    net = resnet18(n_input_channels=spec.c, feed_forward=False, conv1_t_stride=2, **settings)
    return net, net


def _densenet3d(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
    import torch
    from monai.networks.nets import DenseNet121

    net = DenseNet121(spatial_dims=3, in_channels=spec.c, out_channels=2)
    net.class_layers.out = torch.nn.Identity()
    return net, net


def _x3d(spec: BatchSpec) -> tuple[Any, Callable[[Any], Any]]:
    import torch

    _torchvision()
    from pytorchvideo.models import hub

    net = hub.x3d_s(dropout_rate=0.0, head_activation=None)
    net.blocks[-1].pool.pool, net.blocks[-1].proj = torch.nn.AdaptiveAvgPool3d(1), torch.nn.Identity()
    return net, net


def _torchvision() -> Any:
    from tests.backbones.published import torchvision

    return torchvision()


PEERS = {
    "tsm_resnet18": Peer("torchvision", _resnet(18), BatchSpec(4, 8, 112, 112, 1), BatchSpec(32, 8, 224, 224, 3)),
    "tsm_resnet50": Peer("torchvision", _resnet(50), BatchSpec(4, 8, 112, 112, 1), BatchSpec(32, 8, 224, 224, 3)),
    "tsn_efficientnet_lite0": Peer(
        "timm", _timm("tf_efficientnet_lite0"), BatchSpec(4, 8, 112, 112, 1), BatchSpec(32, 8, 224, 224, 3)
    ),
    "vit_s16": Peer(
        "timm", _timm("vit_small_patch16_224"), BatchSpec(4, 8, 112, 112, 1), BatchSpec(32, 8, 224, 224, 3)
    ),
    "r3d18": Peer("torchvision", _video("r3d_18", "fc"), BatchSpec(2, 8, 56, 56, 3), BatchSpec(64, 16, 112, 112, 3)),
    "r2plus1d18": Peer(
        "torchvision", _video("r2plus1d_18", "fc"), BatchSpec(2, 8, 56, 56, 3), BatchSpec(64, 16, 112, 112, 3)
    ),
    "x3d_s": Peer("pytorchvideo", _x3d, BatchSpec(2, 5, 64, 64, 3), BatchSpec(32, 13, 160, 160, 3)),
    "mvitv2_s": Peer("torchvision", _mvit, BatchSpec(2, 8, 64, 64, 3), BatchSpec(16, 16, 224, 224, 3)),
    "swin3d_t": Peer(
        "torchvision", _video("swin3d_t", "head"), BatchSpec(2, 8, 64, 64, 3), BatchSpec(16, 16, 224, 224, 3)
    ),
    "videomae_vit_b": Peer("transformers", _videomae, BatchSpec(2, 4, 64, 64, 3), BatchSpec(16, 16, 224, 224, 3)),
    "resnet3d_18b": Peer("monai", _resnet3d, BatchSpec(2, 48, 48, 48, 1), BatchSpec(16, 128, 128, 128, 1)),
    "densenet3d_121": Peer("monai", _densenet3d, BatchSpec(2, 48, 48, 48, 1), BatchSpec(8, 128, 128, 128, 1)),
}
