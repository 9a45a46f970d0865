import numpy as np
import pytest

from learner_jax.report.arms import alone
from learner_jax.report.distance import binned_median, distance
from learner_jax.report.runs import load
from learner_jax.report.study import read_study


def test_binned_median_against_a_plain_loop():
    rng = np.random.default_rng(0)
    x, y = rng.permutation(80).astype(float), rng.normal(size=80)
    mid_x, mid_y = binned_median(x, y)
    order = np.argsort(x)
    np.testing.assert_allclose(mid_x, [np.median(x[part]) for part in np.split(order, 8)])
    np.testing.assert_allclose(mid_y, [np.median(y[part]) for part in np.split(order, 8)])


@pytest.mark.parametrize("x", [np.zeros(50), np.array([1.0]), np.repeat([0.0, 1.0], 20)])
def test_binned_median_of_ties_and_few_points(x):
    mid_x, mid_y = binned_median(x, x)
    assert mid_x.size >= 1
    np.testing.assert_array_equal(mid_x, mid_y)


def test_one_axis_for_all_panels(demo):
    axes = [axis for axis in distance(read_study(demo).arms).figure.axes if axis.get_visible()]
    assert len(axes) == 3
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in axes}) == 1


def test_only_scored_pairs_are_drawn(run_at, tmp_path):
    run = load(run_at(tmp_path / "one", order="consecutive"))
    assert distance([alone(run)]).figure.axes[0].collections[0].get_offsets().shape[0] == 35 * 3
