import numpy as np
import pytest
from sklearn.decomposition import PCA

from learner_jax.evaluators.plane import Plane


@pytest.mark.parametrize(("n", "d"), [(5000, 6), (40, 128), (9, 2)])
def test_places_are_those_of_principal_components_up_to_their_sign(n, d):
    rng = np.random.default_rng(0)
    u = (rng.normal(size=(n, d)) * np.linspace(3, 1, d) + 1).astype(np.float32)
    other = rng.normal(size=(7, d)).astype(np.float32)
    unit = lambda x: x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)  # noqa: E731
    expected = PCA(2, svd_solver="full").fit(unit(u)).transform(unit(other))
    places = Plane.of(u)(other)
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-6)


def test_places_do_not_depend_on_length_and_an_axis_points_to_its_largest_component():
    u = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32)
    plane = Plane.of(u)
    np.testing.assert_allclose(plane(4 * u), plane(u), atol=1e-6)
    for axis in plane.axes.T:
        assert axis[np.abs(axis).argmax()] > 0


@pytest.mark.parametrize("u", [np.ones((6, 4)), np.zeros((6, 4)), np.array([[2.0], [3.0]])])
def test_where_nothing_varies_all_lie_on_one_point(u):
    np.testing.assert_array_equal(Plane.of(u.astype(np.float32))(u.astype(np.float32)), np.zeros((len(u), 2)))


def test_one_direction_leaves_the_second_at_zero():
    u = np.array([[1.0], [-1.0], [1.0]], np.float32)
    places = Plane.of(u)(u)
    np.testing.assert_allclose(places[:, 1], 0)
    assert places[0, 0] - places[1, 0] == pytest.approx(2)
