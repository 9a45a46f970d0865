"""A run's predicted score as a function of intensities, and which pixels of a scan move it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float

from learner_jax.backbones import Backbone
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.config import Config
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.preprocess import normalisation, normalise

_BLUR = 0.03  # SD of the Gaussian that smooths gradients, as a share of height and width

Score = Callable[[Float[Array, "b t h w c"]], Float[Array, " b"]]


def score_of(backbone: Backbone, config: Config, readout: LinearScore, variables: Any) -> Score:
    """A JAX function from intensities between 0 and 1 to predicted scores, without the read-out's intercept.

    ``sum((u - mean) / std * coef)`` of each scan in float32, without augmentation and with running statistics. Its
    differences are those of the read-out's scores; the intercept, which cancels in them, would only cost digits.
    """
    weight = jnp.asarray(readout.coef / readout.std, jnp.float32)
    centre = jnp.asarray(readout.mean, jnp.float32)

    def score(pixels: Float[Array, "b t h w c"]) -> Float[Array, " b"]:
        scan = normalise(pixels, *normalisation(config, pixels.shape[-1]))
        u = backbone.apply(variables, scan, jnp.ones(len(scan), bool), train=False)[0]
        return ((u.astype(jnp.float32) - centre) * weight).sum(axis=1)

    return score


def with_gradient(score: Score) -> Callable[[Float[Array, "b t h w c"]], tuple[Array, Array]]:
    """``intensities -> (scores [b], gradient [b t h w c] of each scan's score with respect to its intensities)``.

    The predicted change of a pair of visits is a weighted difference of its scans' scores, so its gradient is these
    gradients with the same weights.
    """

    def total(pixels: Float[Array, "b t h w c"]) -> tuple[Array, Array]:
        scores = score(pixels)
        return scores.sum(), scores  # a scan does not enter the score of another

    def both(pixels: Float[Array, "b t h w c"]) -> tuple[Array, Array]:
        (_, scores), slope = jax.value_and_grad(total, has_aux=True)(pixels)
        return scores, slope

    return jax.jit(both, compiler_options=compiler_options())


def smoothed(gradient: Float[Array | np.ndarray, "b t h w c"]) -> Float[np.ndarray, "b t h w"]:
    """Absolute gradients, summed over channels and blurred within each frame by a Gaussian.

    The gradient of a single pixel is mostly noise. Smilkov et al., arXiv 1706.03825, average over added noise; the blur
    is our cheaper reading of that. The result shows where the run looks, but neither why nor whether it is right.
    """
    size = np.abs(np.asarray(gradient, np.float32)).sum(axis=-1)
    h, w = size.shape[2:]
    return scipy.ndimage.gaussian_filter(size, (0, 0, _BLUR * h, _BLUR * w))
