"""Convolution over frames and over volumes, channels last, in the formulation that is fastest on the device.

All formulations give the result of :func:`definition`. Padding is symmetric and given in numbers, as in PyTorch, or
``SAME`` as in TensorFlow (one pixel more at the end than at the start where stride and size require it).
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from learner_jax.backbones.layers.depthwise_on_cpu import Pads, depthwise
from learner_jax.backbones.layers.platform import platform

# With up to this many channels, a convolution over three axes is faster as one over two; on a CPU always, as XLA has no
# fast one over three. With cuDNN the 7x7x7 stem of one channel takes 24 of the 39 ms of a step of 3-D ResNet-18 (H200,
# November 2026); for a TPU, XLA counts 22 GB of memory traffic in that step instead of 30.
_FEW_CHANNELS = 4

kaiming_fan_out = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
kaiming_fan_in = nnx.initializers.variance_scaling(2.0, "fan_in", "normal")
torch_default = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # PyTorch's own for convolutions


class Conv(nnx.Module):
    """Convolution of ``[b t h w c]`` with a kernel over (h, w), frame by frame, or over (t, h, w).

    Args:
      c_in, c_out: channels.
      kernel: its two or three sides; the parameter has the shape ``[*kernel, c_in / groups, c_out]``.
      rngs: for the initial kernel.
      stride: along each side.
      padding: at both ends of each side, or ``"SAME"``; None: half of the kernel, rounded down.
      groups: of channels; ``c_in`` groups make a depthwise convolution.
      use_bias: whether to add a bias.
      init: initialises the kernel.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: tuple[int, ...],
        rngs: nnx.Rngs,
        *,
        stride: tuple[int, ...] | int = 1,
        padding: tuple[int, ...] | str | None = None,
        groups: int = 1,
        use_bias: bool = False,
        init: nnx.Initializer = kaiming_fan_out,
    ):
        self.kernel = nnx.Param(init(rngs.params(), (*kernel, c_in // groups, c_out), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(c_out)) if use_bias else None
        self.stride = (stride,) * len(kernel) if isinstance(stride, int) else tuple(stride)
        self.padding = tuple(k // 2 for k in kernel) if padding is None else padding
        self.groups = groups

    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b i j k d"]:
        kernel = self.kernel[...].astype(x.dtype)
        if kernel.ndim == 4:
            y = convolve(x.reshape(-1, *x.shape[2:]), kernel, self.stride, self.padding, self.groups)
            y = y.reshape(*x.shape[:2], *y.shape[1:])
        else:
            y = convolve(x, kernel, self.stride, self.padding, self.groups)
        if self.bias is None:
            return y
        precise = jnp.promote_types(x.dtype, jnp.float32)  # as the bias's gradient is a sum over all places
        return (y + self.bias[...].astype(precise)).astype(x.dtype)


def convolve(
    x: Float[Array, "n *space c"],
    kernel: Float[Array, "*window ci co"],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    groups: int = 1,
) -> Float[Array, "n *out co"]:
    """Convolution over two or three axes, computed as a simpler one where the kernel and the device allow it."""
    return _fastest(x, kernel, stride, _pads(x.shape[1:-1], kernel.shape[:-2], stride, padding), groups)


def definition(x: Array, kernel: Array, stride: tuple[int, ...], pads: Pads, groups: int = 1) -> Array:
    """``[n *space c] -> [n *space d]`` by ``lax.conv_general_dilated``: one, two or three axes of space."""
    space = "THW"[-len(stride) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=numbers, feature_group_count=groups)


def _fastest(x: Array, kernel: Array, stride: tuple[int, ...], pads: Pads, groups: int) -> Array:
    window, device, full = kernel.shape[:-2], platform(), groups == 1
    if full and not any(map(any, pads)) and all(k in (1, s) for k, s in zip(window, stride, strict=True)):
        return _product(x, kernel, stride)
    if device == "cpu" and groups == x.shape[-1] == kernel.shape[-1]:
        return depthwise(x, kernel, stride, pads)
    if len(window) == 3 and (window[0] == 1 or (full and (device == "cpu" or x.shape[-1] <= _FEW_CHANNELS))):
        return _first_axis_as_channels(x, kernel, stride, pads, groups)
    if device == "cpu" and full and math.prod(window) > math.prod(x.shape[1:-1]):
        # XLA would exchange scan and kernel: 390 ms for 512 channels of 2x2 under 3x3
        return _first_axis_as_channels(x, kernel, stride, pads, groups)
    return definition(x, kernel, stride, pads, groups)


def _pads(size: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...], padding: tuple | str) -> Pads:
    if isinstance(padding, str):
        return tuple(map(tuple, jax.lax.padtype_to_pads(size, window, stride, padding)))
    return tuple((p, p) for p in padding)


def _product(x: Array, kernel: Array, stride: tuple[int, ...]) -> Array:
    """A convolution of adjacent patches, or of single pixels, as one product of matrices."""
    window, space = kernel.shape[:-2], range(1, x.ndim - 1)
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:-1], window, stride, strict=True)]
    x = x[(slice(None), *(slice(0, (m - 1) * s + k, s // k) for m, k, s in zip(out, window, stride, strict=True)))]
    sides = [side for pair in zip(out, window, strict=True) for side in pair]
    x = x.reshape(len(x), *sides, x.shape[-1])
    x = x.transpose(0, *(2 * i - 1 for i in space), *(2 * i for i in space), x.ndim - 1)
    # all patches on one axis, as XLA's CPU backend would transpose the gradient to sum over several
    patches, matrix = x.reshape(len(x) * math.prod(out), -1), kernel.reshape(-1, kernel.shape[-1])
    return (patches @ matrix).reshape(len(x), *out, -1)


def _first_axis_as_channels(x: Array, kernel: Array, stride: tuple[int, ...], pads: Pads, groups: int) -> Array:
    """A kernel of ``k`` frames (or rows) as one with an axis less, over ``k`` of them stacked as channels."""
    k, space = kernel.shape[0], x.shape[2:-1]
    x = jnp.pad(x, ((0, 0), pads[0], *((0, 0),) * (x.ndim - 2)))
    count = (x.shape[1] - k) // stride[0] + 1
    taps = [x[:, i : i + stride[0] * (count - 1) + 1 : stride[0]] for i in range(k)]
    stacked = jnp.concatenate(taps, axis=-1).reshape(-1, *space, k * x.shape[-1])
    wide = jnp.moveaxis(kernel, 0, -3).reshape(*kernel.shape[1:-2], -1, kernel.shape[-1])
    y = _fastest(stacked, wide, stride[1:], pads[1:], groups) if space else stacked @ wide
    return y.reshape(len(x), count, *y.shape[1:])
