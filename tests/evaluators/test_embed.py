"""Embeddings of rows: those of a plain loop, whatever the batches and the order."""

import jax
import numpy as np
import pytest

from learner_jax import backbones
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import open_reader
from learner_jax.evaluators.embed import Embedder, encoder_of
from learner_jax.mesh import make_mesh


@pytest.fixture(scope="module")
def parts(make_config):
    config = make_config()
    cohort = cohorts.load(config.data)
    reader = open_reader(cohort, config.data)
    backbone = backbones.create(config.backbone.name)
    variables = jax.jit(lambda key: backbone.init(key, reader.spec(1)))(jax.random.key(0))
    return encoder_of(backbone, config.data), reader, variables


@pytest.mark.parametrize("batch_size", [8, 16])
def test_embeddings_are_those_of_a_plain_loop_in_the_order_asked_for(parts, batch_size):
    encode, reader, variables = parts
    rows = np.random.default_rng(0).permutation(len(reader.cohort.score))[:45]
    found = Embedder(encode, reader, make_mesh(), batch_size)(variables, rows)
    one = jax.jit(encode)
    expected = [one(variables, reader.read(rows[i : i + 1], np.ones(1, bool)))[0] for i in range(0, 45, 4)]
    assert found.shape == (45, len(expected[0]))
    np.testing.assert_allclose(found[::4], expected, rtol=1e-4, atol=1e-5)


def test_no_rows_have_the_width_of_any(parts):
    encode, reader, variables = parts
    found = Embedder(encode, reader, make_mesh(), 8)(variables, np.zeros(0, np.int64))
    assert found.shape[0] == 0
    assert found.shape[1] > 0
