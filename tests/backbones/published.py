"""Imports of the published implementations that need a hand."""

import functools
import sys


@functools.cache
def torchvision():
    """torchvision beside a PyTorch without CUDA: PyPI's build declares two operators only where CUDA is.

    pytorchvideo imports a module that torchvision gave up in 0.17; what it held lies in the one named in its place.
    """
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision as package
    from torchvision.transforms import functional

    sys.modules.setdefault("torchvision.transforms.functional_tensor", functional)
    package.declared = library  # its declarations end with it
    return package
