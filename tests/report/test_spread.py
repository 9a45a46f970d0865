import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from learner_jax.report.runs import load
from learner_jax.report.spread import places, spread
from learner_jax.report.study import read_study


def test_held_out_visits_are_drawn_at_their_places_in_the_colour_of_their_score(demo):
    picture = spread(read_study(demo).arms)
    seen = load(demo / "mse").observations.filter(load(demo / "mse").observations["split"] == "test")
    points = picture.figure.axes[2].collections[0]
    np.testing.assert_allclose(np.asarray(points.get_offsets()), seen.select("axis_1", "axis_2").to_numpy())
    lightness = points.get_facecolors()[:, :3].sum(axis=1)
    assert np.corrcoef(lightness, seen["score"])[0, 1] > 0.9


def test_how_much_of_the_score_the_plane_explains_is_that_of_a_regression(demo):
    table = places(load(demo / "mse"))
    at, score = table.select("axis_1", "axis_2").to_numpy(), table["score"].to_numpy()
    r2 = LinearRegression().fit(at, score).score(at, score)
    assert f"the plane explains {100 * r2:.0f} % of the score" in spread(read_study(demo).arms).alt


def test_an_evaluation_from_before_there_were_places_draws_nothing(demo):
    for arm in ("combined", "contrastive", "mse"):
        path = demo / arm / "eval" / "300" / "observations.csv"
        path.write_text("\n".join(line.rsplit(",", 2)[0] for line in path.read_text().splitlines()) + "\n")
    assert places(load(demo / "mse")).is_empty()
    assert spread(read_study(demo).arms) is None
    assert load(demo / "mse").observations["predicted"].len() == pytest.approx(160)
