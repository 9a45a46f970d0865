"""SlowFast: a wide pathway over few frames, which gets features of another one, an eighth as wide, over all frames.

Feichtenhofer et al., arXiv 1812.03982, as in pytorchvideo: "8x8" means 8 frames for the slow pathway (of 32 for the
fast one, ``t`` of the scan). Before each stage, the channels of the fast pathway are convolved over seven frames, at
the slow pathway's rate, and appended to those of the slow one. Time is never halved. Only the last two stages of the
slow pathway look beyond single frames. The embedding is the mean of the slow pathway followed by that of the fast one.
"""

import functools

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from learner_jax.backbones.api import Backbone, Shape, Stem, Takes, backbones
from learner_jax.backbones.layers.blocks import Blocks
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.norm import NORMS
from learner_jax.backbones.layers.pool import max_pool
from learner_jax.backbones.names import Names

ALPHA = 4  # frames of the fast pathway for each of the slow one
BETA = 8  # channels of the slow pathway for each of the fast one
FUSED = 2  # channels that the slow pathway gets for each of the fast one
PYTORCHVIDEO = Names(
    rules=(
        (r"slow\.stem", "blocks.0.multipathway_blocks.0"),
        (r"fast\.stem", "blocks.0.multipathway_blocks.1"),
        (r"slow\.stage(\d)", r"blocks.\1.multipathway_blocks.0.res_blocks"),
        (r"fast\.stage(\d)", r"blocks.\1.multipathway_blocks.1.res_blocks"),
        (r"fuse\.(\d)\.conv", r"blocks.\1.multipathway_fusion.conv_fast_to_slow"),
        (r"fuse\.(\d)\.norm", r"blocks.\1.multipathway_fusion.norm"),
        (r"shortcut\.", "branch1_"),
        (r"((conv|norm)_[abc])\.", r"branch2.\1."),
    ),
    unused=(r"blocks\.6\.proj\..*",),
)


class Unit(nnx.Module):
    """A convolution and a norm."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int],
        norm: type,
        rngs: nnx.Rngs,
    ):
        self.conv, self.norm = Conv(c_in, c_out, kernel, rngs, stride=stride), norm(c_out, rngs)

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b k i j d"]:
        return self.norm(self.conv(x), mask, train)


class Bottleneck(nnx.Module):
    """A convolution over ``frames``, one over 3x3 pixels, a 1x1 one, and a shortcut."""

    def __init__(self, c_in: int, c_out: int, frames: int, stride: int, norm: type, rngs: nnx.Rngs):
        inner, strides, resized = c_out // 4, (1, stride, stride), stride != 1 or c_in != c_out
        self.conv_a, self.norm_a = Conv(c_in, inner, (frames, 1, 1), rngs), norm(inner, rngs)
        self.conv_b, self.norm_b = Conv(inner, inner, (1, 3, 3), rngs, stride=strides), norm(inner, rngs)
        self.conv_c, self.norm_c = Conv(inner, c_out, (1, 1, 1), rngs), norm(c_out, rngs)
        self.shortcut = Unit(c_in, c_out, (1, 1, 1), strides, norm, rngs) if resized else None

    def __call__(self, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool) -> Float[Array, "b t i j d"]:
        y = nnx.relu(self.norm_a(self.conv_a(x), mask, train))
        y = nnx.relu(self.norm_b(self.conv_b(y), mask, train))
        y = self.norm_c(self.conv_c(y), mask, train)
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x, mask, train)))


class Pathway(nnx.Module):
    """Stem and stages of one pathway; ``frames`` is the length of their kernels in time.

    A step is the stem with its pooling, or a stage. Between steps, the slow pathway gets features of the fast one.
    """

    def __init__(
        self,
        c_in: int,
        width: int,
        blocks: tuple[int, ...],
        frames: tuple[int, ...],
        hears: bool,
        norm: type,
        rngs: nnx.Rngs,
    ):
        self.stem = Unit(c_in, width, (frames[0], 7, 7), (1, 2, 2), norm, rngs)
        out = width
        for stage, count in enumerate(blocks):
            c_in, out = out + (FUSED * out // BETA if hears else 0), 4 * width * 2**stage
            layer = []
            for i in range(count):
                layer.append(Bottleneck(c_in, out, frames[stage + 1], 2 if stage and not i else 1, norm, rngs))
                c_in = out
            setattr(self, f"stage{stage + 1}", Blocks(layer))

    def step(
        self, i: int, x: Float[Array, "b t h w c"], mask: Bool[Array, " b"], train: bool
    ) -> Float[Array, "b t i j d"]:
        """The stem, for step 0, or the ``i``-th stage."""
        if i == 0:
            return max_pool(nnx.relu(self.stem(x, mask, train)), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for block in getattr(self, f"stage{i}"):
            x = block(x, mask, train)
        return x


class SlowFast(nnx.Module):
    """Two pathways, the fast one feeding the slow one before each stage; means over space and time."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs, *, width: int, blocks: tuple[int, ...], norm: str):
        make, fast, stages = NORMS[norm], width // BETA, len(blocks)
        still = (1,) * (1 + stages // 2)  # the slow pathway's stem and first half of stages see single frames
        self.slow = Pathway(shape[-1], width, blocks, still + (3,) * (stages - stages // 2), True, make, rngs)
        self.fast = Pathway(shape[-1], fast, blocks, (5,) + (3,) * stages, False, make, rngs)
        widths = [fast, *(4 * fast * 2**stage for stage in range(stages - 1))]
        self.fuse = Blocks(Unit(c, FUSED * c, (7, 1, 1), (ALPHA, 1, 1), make, rngs) for c in widths)

    def __call__(
        self, scan: Float[Array, "b t h w c"], mask: Bool[Array, " b"], *, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b d"]:
        slow, fast = scan[:, slow_frames(scan.shape[1])], scan
        slow, fast = self.slow.step(0, slow, mask, train), self.fast.step(0, fast, mask, train)
        for i, fuse in enumerate(self.fuse, start=1):
            heard = nnx.relu(fuse(fast, mask, train))
            slow = self.slow.step(i, jnp.concatenate([slow, heard], -1), mask, train)
            fast = self.fast.step(i, fast, mask, train)
        return jnp.concatenate([slow.mean((1, 2, 3)), fast.mean((1, 2, 3))], -1)


def slow_frames(frames: int) -> Int[np.ndarray, " n"]:
    """The frames that the slow pathway sees: a quarter, evenly spaced from the first to the last and rounded down.

    They are not every fourth: of 32 they are 0, 4, 8, 13, 17, 22, 26, 31. pytorchvideo truncates a line in float32,
    which gives the same for all scans of fewer than 160 frames.
    """
    count = frames // ALPHA
    return np.arange(count) * (frames - 1) // max(count - 1, 1)


def _variant(name: str, width: int, blocks: tuple[int, ...], norm: str) -> Backbone:
    out = 4 * width * 2 ** (len(blocks) - 1)
    return Backbone(
        name,
        functools.partial(SlowFast, width=width, blocks=blocks, norm=norm),
        dim=out + out // BETA,
        takes=Takes(least=(4, 32, 32), multiple=(ALPHA, 1, 1)),
        names={"pytorchvideo": PYTORCHVIDEO},
        stems=tuple(Stem(f"{pathway}/stem/conv/kernel", f"{pathway}/stem/norm/mean") for pathway in ("slow", "fast")),
    )


for _name, _width, _blocks in (
    ("slowfast_r50", 64, (3, 4, 6, 3)),
    ("slowfast-test", 32, (1, 1)),
):
    backbones.register(_name)(functools.partial(_variant, _name, _width, _blocks))
