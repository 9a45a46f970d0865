"""Encoders of scans. ``list_backbones()`` names them, ``create(name)`` makes one."""

from learner_jax.backbones import r3d as _r3d  # noqa: F401  registers its variants
from learner_jax.backbones import resnet2d as _resnet2d  # noqa: F401  registers its variants
from learner_jax.backbones.api import Backbone, create, list_backbones

__all__ = ["Backbone", "create", "list_backbones"]
