"""Where in two scans a predicted change comes from: its gradient with respect to their pixels."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float

from learner_jax.backbones import Backbone
from learner_jax.backbones.layers.platform import compiler_options
from learner_jax.batch import Batch
from learner_jax.config import Config
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.preprocess import intensity, normalisation, normalise

_BLUR = 0.03  # of the height and the width: the SD of the Gaussian that gradients are smoothed with

Gradient = Callable[[Any, Batch], tuple[Array, Array]]


def score_gradient(backbone: Backbone, config: Config, readout: LinearScore) -> Gradient:
    """``(variables, batch) -> (score [b], gradient [b t h w c])`` of a read-out that is linear in the embedding.

    ``score = intercept + ((u - mean) / std) · coef`` of each scan alone, without augmentation and with running
    statistics, in score units; the gradient is with respect to its intensities, which lie between 0 and 1. The
    predicted change of a pair of visits is a weighted difference of such scores, so its gradient is that of each scan,
    weighted alike.
    """
    slope = jnp.asarray(readout.coef / readout.std, jnp.float32)
    shift = float(readout.intercept - readout.mean @ (readout.coef / readout.std))

    def scores(pixels: Float[Array, "b t h w c"], variables: Any, batch: Batch) -> tuple[Array, Array]:
        scan = normalise(pixels, *normalisation(config, batch.scan.shape[-1]))
        said = backbone.apply(variables, scan, batch.mask, train=False)[0].astype(jnp.float32) @ slope + shift
        return said.sum(), said  # a scan does not enter the score of another

    def both(variables: Any, batch: Batch) -> tuple[Array, Array]:
        (_, said), found = jax.value_and_grad(scores, has_aux=True)(intensity(batch), variables, batch)
        return said, found

    return jax.jit(both, compiler_options=compiler_options())


def smoothed(gradient: Float[np.ndarray, "b t h w c"]) -> Float[np.ndarray, "b t h w"]:
    """Absolute gradients, summed over channels and blurred within each frame by a Gaussian: one pixel's own gradient is
    noise (Smilkov et al., arXiv 1706.03825, average over noise; a blur is our cheaper reading of that)."""
    size = np.abs(np.asarray(gradient, np.float32)).sum(axis=-1)
    h, w = size.shape[2:]
    return scipy.ndimage.gaussian_filter(size, (0, 0, _BLUR * h, _BLUR * w))
