"""A run's predicted score as one function of intensities, and which pixels it rises and falls with."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32
from scipy import ndimage

from learner_jax.backbones import Backbone
from learner_jax.config import Config
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.preprocess import normalisation, normalise

_GRAIN = 1 / 40  # SD of the smoothing over the size of a picture: a gradient is noisy from pixel to pixel


def score_of(
    backbone: Backbone, config: Config, model: LinearScore, variables: Any
) -> Callable[[Float[Array, "b t h w c"]], Float[Array, " b"]]:
    """Intensities between 0 and 1 -> predicted scores but for a constant, in float32 and by JAX alone.

    ``sum of u * coef / std``, whose differences are those of the read-out's scores; the constant would cost digits.
    """
    weight = jnp.asarray(model.coef / model.std, jnp.float32)
    centre = jnp.asarray(model.mean, jnp.float32)

    def score(intensity: Array) -> Array:
        scan = normalise(intensity, *normalisation(config, intensity.shape[-1]))
        u = backbone.apply(variables, scan, jnp.ones(len(scan), bool), train=False)[0]
        return ((u.astype(jnp.float32) - centre) * weight).sum(axis=1)

    return score


def saliency(
    score: Callable[[Array], Array], intensity: Float32[np.ndarray, "b t h w c"]
) -> Float[np.ndarray, "b t h w"]:
    """How much the score of each scan moves with each pixel: the size of the gradient, smoothed within each frame.

    It says where the run looks and not why, and nothing of whether it is right.
    """
    slope = jax.jit(jax.grad(lambda x: score(x).sum()))(intensity)
    size = np.abs(np.asarray(slope, np.float32)).sum(axis=-1)
    return ndimage.gaussian_filter(size, (0, 0, size.shape[2] * _GRAIN, size.shape[3] * _GRAIN))
