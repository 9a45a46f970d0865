"""Views are weighted by how well they predict the score."""

import numpy as np
import pytest

from learner_jax.evaluators.fusion import view_weights
from learner_jax.evaluators.pairs import observe


@pytest.fixture
def two_views(scans):
    """The second view is noise."""
    s = scans(patients=60, visits=2, views=2, skill=3.0)
    s["u"][s["view"] == 1] = np.random.default_rng(0).normal(size=s["u"][s["view"] == 1].shape)
    return s


def weights(s, n_views=2):
    return view_weights(s["u"], s["score"], s["patient"], s["visit"], s["view"], n_views=n_views)


def test_the_better_view_weighs_more_by_its_error(two_views):
    found = weights(two_views)
    assert found.mean() == pytest.approx(1)
    assert found[0] / found[1] > 8
    mixed = np.random.default_rng(1).permutation(len(two_views["view"]))
    np.testing.assert_array_equal(weights({k: v[mixed] for k, v in two_views.items()}), found)


def test_a_rare_view_weighs_as_the_mean_and_no_scores_as_all(two_views):
    few = np.flatnonzero((two_views["view"] == 0) | (two_views["patient"] < 3))
    found = weights({k: v[few] for k, v in two_views.items()}, n_views=3)
    assert found[1] == found[2] == pytest.approx(1)
    two_views["score"][:] = np.nan
    np.testing.assert_array_equal(weights(two_views), [1, 1])


def test_a_view_of_few_patients_is_predicted_for_those_it_was_not_fitted_on(two_views):
    """Only every fifth patient was scanned in the second view, which is noise."""
    kept = np.flatnonzero((two_views["view"] == 0) | (two_views["patient"] % 5 == 0))
    found = weights({k: v[kept] for k, v in two_views.items()})
    assert found[0] > 4 * found[1]


def test_a_view_of_patients_who_all_score_alike_has_shown_nothing(two_views):
    """Its prediction has no error whatever its embeddings are, and here they are noise."""
    kept = np.flatnonzero((two_views["view"] == 0) | (two_views["score"] == 7))
    found = weights({k: v[kept] for k, v in two_views.items()})
    np.testing.assert_allclose(found, [1, 1])


def test_observations_are_weighted_means_of_views(two_views):
    seen = observe(**two_views, mode="visits", view_weight=np.array([3.0, 1.0]))
    mine = (two_views["patient"] == 5) & (two_views["visit"] == 1)
    left, right = (two_views["u"][mine & (two_views["view"] == v)].mean(0, dtype=float) for v in (0, 1))
    np.testing.assert_allclose(seen.u[5 * 2 + 1], (3 * left + right) / 4, rtol=1e-6)
    only = {k: v[two_views["view"] == 1] for k, v in two_views.items()}
    np.testing.assert_allclose(
        observe(**only, mode="visits", view_weight=np.array([3.0, 1.0])).u, observe(**only, mode="visits").u, rtol=1e-6
    )
    alone = observe(**two_views, mode="visits", view_weight=np.array([0.0, 1.0]))
    np.testing.assert_allclose(alone.u, observe(**only, mode="visits").u, rtol=1e-6)
