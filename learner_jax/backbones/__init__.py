"""Encoders of scans. ``list_backbones()`` names them, ``create(name)`` makes one."""

from learner_jax.backbones import (  # noqa: F401  importing a module registers its variants
    densenet3d,
    efficientnet_lite,
    lilac,
    mvit,
    r3d,
    resnet2d,
    resnet3d,
    sfcn,
    slowfast,
    swin3d,
    swin_unetr,
    videomae,
    vit,
    vit3d,
    x3d,
)
from learner_jax.backbones.api import Backbone, create, list_backbones

__all__ = ["Backbone", "create", "list_backbones"]
