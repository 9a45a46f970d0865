"""Imports of the published implementations that need a hand."""

import functools


@functools.cache
def torchvision():
    """torchvision beside a PyTorch without CUDA: PyPI's build declares two operators only where CUDA is."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision as package

    package.declared = library  # its declarations end with it
    return package
