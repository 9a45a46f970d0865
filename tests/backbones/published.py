"""Imports of the published implementations that need a hand."""

import functools
import sys
from unittest import mock


@functools.cache
def torchvision():
    """torchvision beside a PyTorch without CUDA: PyPI's build declares two operators only where CUDA is.

    pytorchvideo imports a module that torchvision gave up in 0.17; what it held lies in the one named in its place.
    """
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        if not torch.backends.cuda.is_built():
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision as package
    from torchvision.transforms import functional

    sys.modules.setdefault("torchvision.transforms.functional_tensor", functional)
    package.declared = library  # its declarations end with it
    return package


def mvit_v2_s(frames: int, height: int, width: int):
    """torchvision's MViTv2-S for clips of any size: its function says 16 frames of 224x224, its class takes others."""
    module = torchvision().models.video.mvit
    net, size = module.MViT, {"temporal_size": frames, "spatial_size": (height, width)}
    with mock.patch.object(module, "MViT", lambda **settings: net(**settings | size)):
        return module.mvit_v2_s()
