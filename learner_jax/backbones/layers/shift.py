"""Temporal shift: move information between frames without arithmetic. Lin et al. (TSM), arXiv 1811.08383."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.platform import platform
from learner_jax.backbones.layers.rows import mesh_of_rows


def temporal_shift(x: Float[Array, "b t h w c"], shift: str = "both", fold: int = 8) -> Float[Array, "b t h w c"]:
    """Let some channels show a neighbouring frame instead of their own, with zeros beyond both ends.

    Args:
      x: activations of all frames.
      shift: ``both``: the first ``c // fold`` channels show the next frame and as many after them the previous one;
        ``past``: the first ``c // fold`` show the previous one (the paper's online model); ``none``: none do.
      fold: one channel in ``fold`` shifts, each way.
    """
    if shift == "none":
        return x
    if platform() == "cpu":
        return _selected(x, shift, fold)
    part = x.shape[-1] // fold
    earlier, later = ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)), ((0, 0), (0, 1), (0, 0), (0, 0), (0, 0))
    if shift == "past":
        return jnp.concatenate([jnp.pad(x[:, :-1, ..., :part], earlier), x[..., part:]], axis=-1)
    return jnp.concatenate(
        [
            jnp.pad(x[:, 1:, ..., :part], later),
            jnp.pad(x[:, :-1, ..., part : 2 * part], earlier),
            x[..., 2 * part :],
        ],
        axis=-1,
    )


def _selected(x: Array, shift: str, fold: int) -> Array:
    """The shift as selects over whole frames: 3.4 ms for 32 frames of 28x28 with 256 channels, as long as a copy.

    Joining channels takes a CPU 8 to 14 ms, because it does that number by number (November 2026).
    """
    shown, beyond = _shown(x.shape[-1], shift, fold), jnp.zeros_like(x[:, :1])
    following = jnp.concatenate([x[:, 1:], beyond], axis=1)
    previous = jnp.concatenate([beyond, x[:, :-1]], axis=1)
    return jnp.where(shown == 1, following, jnp.where(shown == -1, previous, x))


def _shown(channels: int, shift: str, fold: int) -> np.ndarray:
    """The frame that each channel shows, relative to its own."""
    part, shown = channels // fold, np.zeros(channels, int)
    shown[:part] = -1 if shift == "past" else 1
    shown[part : 2 * part] = 0 if shift == "past" else -1
    return shown


def convolve_shifted(conv: Conv, x: Float[Array, "b t h w c"], shift: str, fold: int = 8) -> Float[Array, "b t i j d"]:
    """``conv(temporal_shift(x, shift, fold))``.

    On a TPU, a 1x1 kernel becomes one over three frames that is zero except for the frame a channel shows. That triples
    its operations but moves no channel between registers: by the compiler's estimate, the shifts of TSM-ResNet-50 would
    otherwise take a sixth of a training step (TPU v5e, November 2026).
    """
    if shift == "none" or platform() != "tpu" or conv.kernel.shape[:2] != (1, 1) or set(conv.stride) != {1}:
        return conv(temporal_shift(x, shift, fold))
    over_frames = functools.partial(_over_frames, shown=_shown(x.shape[-1], shift, fold))
    mesh = mesh_of_rows()
    if mesh is not None:
        # Otherwise the gradient of all three frames is summed over devices; so it would be with check_vma=True.
        rows = P(mesh.axis_names)
        over_frames = jax.shard_map(over_frames, mesh=mesh, in_specs=(rows, P()), out_specs=rows, check_vma=False)
    y = over_frames(x, conv.kernel[...].astype(x.dtype)[0])
    return y if conv.bias is None else y + conv.bias[...].astype(x.dtype)


def _over_frames(x: Array, pointwise: Array, shown: np.ndarray) -> Array:
    b, t, h, w, c = x.shape
    kernel = jnp.where((np.arange(-1, 2)[:, None] == shown)[:, None, :, None], pointwise, 0)
    pixels, pads, numbers = x.reshape(b, t, h * w, c), [(1, 1), (0, 0)], ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(pixels, kernel, (1, 1), pads, dimension_numbers=numbers).reshape(b, t, h, w, -1)
