"""Convolution over frames and over volumes, channels last, in the formulation that is fastest on the device.

:func:`plain` is the definition and the oracle of the others. Padding is symmetric and stated in numbers, as in
PyTorch, or ``SAME`` as in TensorFlow (one pixel more after than before where stride and size ask for it).
"""

import itertools
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from learner_jax.backbones.layers.platform import platform

Padding = tuple[tuple[int, int], ...]
kaiming_fan_out = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


class Conv(nnx.Module):
    """Convolution of ``[b t h w c]`` with a kernel over (h, w), frame by frame, or over (t, h, w).

    Args:
      c_in, c_out: channels.
      kernel: its two or three sides; ``[*kernel, c_in / groups, c_out]`` is the shape of the parameter.
      rngs: of the initial kernel.
      stride: of each side.
      padding: of each side on both ends, or ``"SAME"``; none given: half of the kernel, rounded down.
      groups: channels in so many groups; ``c_in`` of them is a depthwise convolution.
      use_bias: whether a bias is added.
      init: initial kernel; He's normal of the outgoing channels by default.
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
            y = conv2d(x.reshape(-1, *x.shape[2:]), kernel, self.stride, self.padding, self.groups)
            y = y.reshape(*x.shape[:2], *y.shape[1:])
        else:
            y = conv3d(x, kernel, self.stride, self.padding, self.groups)
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


def plain(x: Array, kernel: Array, stride: tuple[int, ...], padding: Padding, groups: int = 1) -> Array:
    """``[n *space c] -> [n *space d]`` by ``lax.conv_general_dilated``: one, two or three axes of space."""
    space = "THW"[-len(stride) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return jax.lax.conv_general_dilated(
        x, kernel, stride, padding, dimension_numbers=numbers, feature_group_count=groups
    )


def conv2d(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "kh kw ci co"],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    groups: int = 1,
) -> Float[Array, "n i j co"]:
    """Two-dimensional convolution, as a product of matrices where the kernel is one pixel."""
    pads = _pads(x.shape[1:-1], kernel.shape, stride, padding)
    if math.prod(kernel.shape[:2]) == 1 and groups == 1 and not any(map(any, pads)):
        return _pointwise(x, kernel, stride)
    if platform() == "cpu" and groups == x.shape[-1] == kernel.shape[-1]:
        return _depthwise(x, kernel, stride, pads)
    return plain(x, kernel, stride, pads, groups)


def conv3d(
    x: Float[Array, "n t h w c"],
    kernel: Float[Array, "kt kh kw ci co"],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    groups: int = 1,
) -> Float[Array, "n i j k co"]:
    """Three-dimensional convolution, as simpler ones where the kernel or the device lets it be.

    A CPU's own convolution has two axes of space: there a kernel of ``kt`` frames is one kernel over pixels of ``kt``
    frames laid on each other as channels.
    """
    pads = _pads(x.shape[1:-1], kernel.shape, stride, padding)
    if math.prod(kernel.shape[:3]) == 1 and groups == 1 and not any(map(any, pads)):
        return _pointwise(x, kernel, stride)
    if platform() == "cpu" and groups == x.shape[-1] == kernel.shape[-1]:
        return _depthwise(x, kernel, stride, pads)
    if kernel.shape[0] == 1 and pads[0] == (0, 0):
        x = x[:, :: stride[0]]
        y = plain(x.reshape(-1, *x.shape[2:]), kernel[0], stride[1:], pads[1:], groups)
        return y.reshape(*x.shape[:2], *y.shape[1:])
    if platform() == "cpu" and groups == 1:
        return _over_shifted_frames(x, kernel, stride, pads)
    return plain(x, kernel, stride, pads, groups)


def _pads(size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple | str) -> Padding:
    if isinstance(padding, str):
        return tuple(map(tuple, jax.lax.padtype_to_pads(size, kernel[: len(size)], stride, padding)))
    return tuple((p, p) for p in padding)


def _pointwise(x: Array, kernel: Array, stride: tuple[int, ...]) -> Array:
    x = x[(slice(None), *(slice(None, None, s) for s in stride))]
    return x @ kernel.reshape(kernel.shape[-2:])


def _depthwise(x: Array, kernel: Array, stride: tuple[int, ...], pads: Padding) -> Array:
    """The sum over the kernel's places of the shifted scan times one number for each channel."""
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    space = kernel.shape[:-2]
    out = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:-1], space, stride, strict=True)]
    y = 0.0
    for place in itertools.product(*map(range, space)):
        window = tuple(slice(p, p + s * (n - 1) + 1, s) for p, s, n in zip(place, stride, out, strict=True))
        y = y + x[(slice(None), *window)] * kernel[place][0]
    return y


def _over_shifted_frames(x: Array, kernel: Array, stride: tuple[int, ...], pads: Padding) -> Array:
    kt = kernel.shape[0]
    x = jnp.pad(x, ((0, 0), pads[0], (0, 0), (0, 0), (0, 0)))
    frames = (x.shape[1] - kt) // stride[0] + 1
    taps = [x[:, k : k + stride[0] * (frames - 1) + 1 : stride[0]] for k in range(kt)]
    stacked = jnp.concatenate(taps, axis=-1).reshape(-1, *x.shape[2:-1], kt * x.shape[-1])
    wide = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    y = plain(stacked, wide, stride[1:], pads[1:])
    return y.reshape(len(x), frames, *y.shape[1:])
