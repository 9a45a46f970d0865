"""EfficientNet-Lite over frames: TSN (frames separate, averaged at the end) and TSM (channels shifted along time).

Tan and Le (EfficientNet), arXiv 1905.11946, in its authors' Lite form for small devices: no squeeze and excitation,
ReLU6 instead of swish, and a stem, a head and outer stages that do not grow with the net. Wang et al. (TSN), arXiv
1608.00859; Lin et al. (TSM), arXiv 1811.08383: the shift comes before the first convolution of each block with a
shortcut, as the authors of TSM do in MobileNetV2.

Convolutions are padded as in TensorFlow, where the nets were trained: for a picture of even size, stride 2 pads only
the far border. Batch norm has TensorFlow's epsilon of 1e-3 and, as in timm, PyTorch's momentum of 0.1 (TensorFlow:
0.01).
"""

import functools
import math
from typing import NamedTuple

from flax import nnx
from jaxtyping import Array, Bool, Float

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv, kaiming_fan_in, kaiming_fan_out
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.shift import temporal_shift
from learner_jax.backbones.layers.width import multiple_of_8
from learner_jax.backbones.names import Names


class Stage(NamedTuple):
    """Blocks of one width, the first of which has the stride."""

    kernel: int
    stride: int
    expansion: int
    width: int
    blocks: int


LITE0 = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


def scaled(wider: float, deeper: float) -> tuple[Stage, ...]:
    """Lite0 with more channels and, in all stages but the first and the last, more blocks."""
    outer = (0, len(LITE0) - 1)
    return tuple(
        stage._replace(
            width=multiple_of_8(stage.width * wider),
            blocks=stage.blocks if i in outer else math.ceil(stage.blocks * deeper),
        )
        for i, stage in enumerate(LITE0)
    )


TIMM = Names(
    rules=(
        (r"^(stem|head)\.conv", r"conv_\1"),
        (r"^stem\.norm", "bn1"),
        (r"^head\.norm", "bn2"),
        # in blocks without expansion, timm's numbers start at the depthwise convolution
        (r"^(blocks\.0\.\d+)\.depthwise\.norm", r"\1.bn1"),
        (r"^(blocks\.0\.\d+)\.project\.norm", r"\1.bn2"),
        (r"^(blocks\.0\.\d+)\.project\.conv", r"\1.conv_pw"),
        (r"expand\.conv", "conv_pw"),
        (r"expand\.norm", "bn1"),
        (r"depthwise\.conv", "conv_dw"),
        (r"depthwise\.norm", "bn2"),
        (r"project\.conv", "conv_pwl"),
        (r"project\.norm", "bn3"),
    ),
    unused=(r"classifier\..*",),
)


def efficientnet_lite_pytorch(stages: tuple[Stage, ...]) -> Names:
    """Names of the package efficientnet_lite_pytorch, which numbers blocks consecutively over all stages."""
    blocks = [(s, i) for s, stage in enumerate(stages) for i in range(stage.blocks)]
    return Names(
        rules=(
            (r"^(stem|head)\.conv", r"_conv_\1"),
            (r"^stem\.norm", "_bn0"),
            (r"^head\.norm", "_bn1"),
            *((rf"^blocks\.{s}\.{i}\.", f"_blocks.{place}.") for place, (s, i) in enumerate(blocks)),
            (r"(expand|depthwise|project)\.conv", r"_\1_conv"),
            (r"expand\.norm", "_bn0"),
            (r"depthwise\.norm", "_bn1"),
            (r"project\.norm", "_bn2"),
        ),
        unused=(r"_fc\..*",),
    )


class ConvNorm(nnx.Module):
    """Convolution and norm, and ReLU6 if ``active``."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        norm: type,
        rngs: nnx.Rngs,
        *,
        stride: int = 1,
        depthwise: bool = False,
        active: bool = True,
    ):
        # within its group, a depthwise kernel's fan out is what JAX computes as its fan in
        groups, init = (c_in, kaiming_fan_in) if depthwise else (1, kaiming_fan_out)
        self.conv = Conv(c_in, c_out, (kernel, kernel), rngs, stride=stride, padding="SAME", groups=groups, init=init)
        self.norm = norm(c_out, rngs, epsilon=1e-3)
        self.active = active

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j k"]:
        y = self.norm(self.conv(x), mask, train)
        return nnx.relu6(y) if self.active else y


class Block(nnx.Module):
    """Inverted residual: expand, convolve depthwise, project; a shortcut if size and width do not change."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int, norm: type, shift: str, rngs: nnx.Rngs
    ):
        width = c_in * expansion
        self.expand = ConvNorm(c_in, width, 1, norm, rngs) if expansion > 1 else None
        self.depthwise = ConvNorm(width, width, kernel, norm, rngs, stride=stride, depthwise=True)
        self.project = ConvNorm(width, c_out, 1, norm, rngs, active=False)
        self.residual = stride == 1 and c_in == c_out
        self.shift = shift if self.residual else "none"

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j k"]:
        y = temporal_shift(x, self.shift)
        if self.expand is not None:
            y = self.expand(y, mask, train)
        y = self.project(self.depthwise(y, mask, train), mask, train)
        return x + y if self.residual else y


class EfficientNetLite(nnx.Module):
    """Stem, stages of inverted residuals, a 1x1 convolution as head, mean over space and time."""

    def __init__(
        self,
        shape: Shape,
        rngs: nnx.Rngs,
        *,
        stem: int,
        stages: tuple[Stage, ...],
        head: int,
        norm: str,
        shift: str,
    ):
        make = NORMS[norm]
        self.stem, c_in = ConvNorm(shape[-1], stem, 3, make, rngs, stride=2), stem
        blocks = []
        for kernel, stride, expansion, width, count in stages:
            stage = []
            for i in range(count):
                stage.append(Block(c_in, width, kernel, 1 if i else stride, expansion, make, shift, rngs))
                c_in = width
            blocks.append(Blocks(stage))
        self.blocks = Blocks(blocks)
        self.head = ConvNorm(c_in, head, 1, make, rngs)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        x = self.stem(scan, mask, train)
        for stage in self.blocks:
            for block in stage:
                x = block(x, mask, train)
        return self.head(x, mask, train).mean((1, 2, 3))


def _variant(name: str, stem: int, stages: tuple[Stage, ...], head: int, shift: str, norm: str) -> Backbone:
    return Backbone(
        name,
        functools.partial(EfficientNetLite, stem=stem, stages=stages, head=head, norm=norm, shift=shift),
        dim=head,
        takes=Takes(least=(1, 32, 32)),
        names={"timm": TIMM, "efficientnet_lite_pytorch": efficientnet_lite_pytorch(stages)},
        stems=(Stem("stem/conv/kernel", "stem/norm/mean"),),
    )


for _name, _stem, _stages, _head in (
    ("efficientnet_lite0", 32, LITE0, 1280),
    ("efficientnet_lite1", 32, scaled(wider=1.0, deeper=1.1), 1280),
    ("efficientnet_lite2", 32, scaled(wider=1.1, deeper=1.2), 1280),
    ("efficientnet_lite-test", 8, (Stage(3, 1, 1, 8, 1), Stage(5, 2, 2, 16, 2)), 16),
):
    for _prefix, _shift in (("tsn", "none"), ("tsm", "both"), ("tsm_past", "past")):
        backbones.register(f"{_prefix}_{_name}")(
            functools.partial(_variant, f"{_prefix}_{_name}", _stem, _stages, _head, _shift)
        )
