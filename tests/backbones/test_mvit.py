"""MViTv2: rows of the tables of relative positions, and those tables on other grids."""

import numpy as np
import pytest

from learner_jax.backbones.adapt import resize_linear
from learner_jax.backbones.mvit import _places


@pytest.mark.parametrize("strides", [(1, 8), (2, 4), (1, 4), (2, 2), (1, 2), (2, 1), (1, 1)])
def test_rows_are_those_of_the_published_formula(strides):
    # in float32, as published: the quotient of the sides is rounded, and what it multiplies is cut to whole rows
    for n in range(1, 129):
        q, k = (-(-n // stride) for stride in strides)
        step_q, step_k = np.float32(max(k / q, 1.0)), np.float32(max(q / k, 1.0))
        rows = np.arange(q, dtype=np.float32)[:, None] * step_q - np.arange(1 - k, 1, dtype=np.float32) * step_k
        np.testing.assert_array_equal(_places(q, k), rows.astype(np.int64), err_msg=f"{q} queries, {k} keys")


def test_rows_of_equal_grids_are_differences():
    np.testing.assert_array_equal(_places(3, 3), [[2, 1, 0], [3, 2, 1], [4, 3, 2]])


@pytest.mark.parametrize("size", [3, 13, 27, 111])
def test_a_table_of_another_length_keeps_constants_slope_and_middle(size):
    values = np.random.default_rng(0).normal(size=(13, 4)).astype(np.float32)
    np.testing.assert_array_equal(resize_linear(values, 13), values)
    np.testing.assert_array_equal(resize_linear(np.full((13, 2), 7.0), size), 7.0)
    ramp = resize_linear(np.arange(-6.0, 7.0)[:, None], size)[:, 0]
    places = (np.arange(size) + 0.5 - size / 2) * 13 / size
    np.testing.assert_allclose(ramp, np.clip(places, -6, 6), rtol=0, atol=1e-12)
    assert ramp[size // 2] == pytest.approx(0, abs=1e-12)
