"""Temporal shift: information moves between frames without an operation. Lin et al. (TSM), arXiv 1811.08383."""

import jax.numpy as jnp
from jaxtyping import Array, Float

SHIFTS = ("both", "past", "none")


def temporal_shift(x: Float[Array, "b t h w c"], shift: str = "both", fold: int = 8) -> Float[Array, "b t h w c"]:
    """``c // fold`` channels show another frame, the rest their own; zeros beyond both ends.

    Args:
      x: activations of all frames.
      shift: ``both``: the first ``c // fold`` channels show the next frame and as many after them the one before;
        ``past``: the first ``c // fold`` show the one before (the paper's online model); ``none``: ``x`` as it is.
      fold: one channel in so many moves, each way.
    """
    part = x.shape[-1] // fold
    earlier, later = ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)), ((0, 0), (0, 1), (0, 0), (0, 0), (0, 0))
    if shift == "none":
        return x
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
