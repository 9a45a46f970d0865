"""Encoders of scans. ``list_backbones()`` names them, ``create(name)`` makes one."""

from learner_jax.backbones import densenet3d as _densenet3d  # noqa: F401  registers its variants
from learner_jax.backbones import efficientnet_lite as _efficientnet_lite  # noqa: F401  registers its variants
from learner_jax.backbones import lilac as _lilac  # noqa: F401  registers its variants
from learner_jax.backbones import mvit as _mvit  # noqa: F401  registers its variants
from learner_jax.backbones import r3d as _r3d  # noqa: F401  registers its variants
from learner_jax.backbones import resnet2d as _resnet2d  # noqa: F401  registers its variants
from learner_jax.backbones import resnet3d as _resnet3d  # noqa: F401  registers its variants
from learner_jax.backbones import sfcn as _sfcn  # noqa: F401  registers its variants
from learner_jax.backbones import slowfast as _slowfast  # noqa: F401  registers its variants
from learner_jax.backbones import swin3d as _swin3d  # noqa: F401  registers its variants
from learner_jax.backbones import swin_unetr as _swin_unetr  # noqa: F401  registers its variants
from learner_jax.backbones import videomae as _videomae  # noqa: F401  registers its variants
from learner_jax.backbones import vit as _vit  # noqa: F401  registers its variants
from learner_jax.backbones import vit3d as _vit3d  # noqa: F401  registers its variants
from learner_jax.backbones import x3d as _x3d  # noqa: F401  registers its variants
from learner_jax.backbones.api import Backbone, create, list_backbones

__all__ = ["Backbone", "create", "list_backbones"]
