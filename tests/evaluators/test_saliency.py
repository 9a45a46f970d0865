import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.batch import BatchSpec
from learner_jax.config import Config
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.evaluators.saliency import score_of, smoothed, with_gradient
from learner_jax.preprocess import intensity, normalisation, normalise

SHAPE = (2, 32, 32, 1)


@pytest.fixture(scope="module")
def world(make_batch):
    """An untrained encoder, a read-out of it, three scans; their scores and gradients."""
    config, backbone = Config(), backbones.create("tsm_resnet18-test", "group")
    variables = jax.jit(backbone.init, static_argnames="spec")(jax.random.key(0), spec=BatchSpec(1, *SHAPE))
    rng = np.random.default_rng(0)
    d = backbone.dim
    readout = LinearScore(
        "ridge", True, mean=rng.normal(size=d), std=rng.uniform(1, 2, d), coef=rng.normal(size=d), intercept=5.0
    )
    pixels = np.asarray(jax.jit(intensity)(make_batch(3, shape=SHAPE)))
    gradient = with_gradient(score_of(backbone, config, readout, variables))
    said, slope = (np.asarray(x) for x in gradient(pixels))
    return config, backbone, variables, readout, pixels, gradient, said, slope


def test_scores_are_those_of_the_readout_and_slopes_those_of_finite_differences(world):
    config, backbone, variables, readout, pixels, _, said, slope = world

    @jax.jit
    def embed(pixels):
        scan = normalise(pixels, *normalisation(config, 1))
        return backbone.apply(variables, scan, jnp.ones(3, bool), train=False)[0]

    score = lambda x: readout.scores(np.asarray(embed(x)))  # noqa: E731
    np.testing.assert_allclose(said + readout.intercept, score(pixels), rtol=1e-4)
    rng, step = np.random.default_rng(1), 3e-4  # small beside the way to where a ReLU bends, large beside rounding
    ways = [jnp.asarray(rng.choice([-1.0, 1.0], pixels.shape), jnp.float32) for _ in range(6)]
    measured = np.array([(score(pixels + step * way) - score(pixels - step * way)) / (2 * step) for way in ways])
    expected = np.array([(slope * np.asarray(way)).sum(axis=(1, 2, 3, 4)) for way in ways])
    assert np.linalg.norm(measured - expected) < 0.08 * np.linalg.norm(expected)


def test_the_gradient_of_a_scan_does_not_depend_on_the_others(world):
    *_, pixels, gradient, _, slope = world
    others = np.concatenate([pixels[:1], 1 - pixels[1:]])
    _, found = gradient(others)
    np.testing.assert_allclose(np.asarray(found)[0], slope[0], rtol=1e-4, atol=1e-5)


def test_smoothing_keeps_the_sum_and_stays_within_a_frame():
    gradient = np.zeros((1, 2, 40, 40, 3), np.float32)
    gradient[0, 0, 20, 20] = (-1, 2, 0)
    size = smoothed(gradient)
    assert size.shape == (1, 2, 40, 40)
    assert size[0, 0].sum() == pytest.approx(3, rel=1e-4)
    assert np.unravel_index(size[0, 0].argmax(), (40, 40)) == (20, 20)
    assert not size[0, 1].any()
