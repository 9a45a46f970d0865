import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from learner_jax.report.figures import binned_median, choose_patients, distance, draw, loss, trajectories
from learner_jax.report.runs import find_runs, load
from learner_jax.report.table import interval


def observations(movements: dict[str, float]) -> pl.DataFrame:
    rows = [(name, visit, 100 + visit * moved) for name, moved in movements.items() for visit in (0, 1)]
    return pl.DataFrame(rows, schema=["patient", "visit", "score"], orient="row")


def test_patients_are_spread_over_movement_from_least_to_most():
    world = observations({f"p{at:03}": float(at) for at in range(101)})
    chosen = choose_patients(world.sample(fraction=1, shuffle=True, seed=1), count=5)
    assert chosen == [("p000", 0.0), ("p025", 25.0), ("p050", 50.0), ("p075", 75.0), ("p100", 100.0)]


def test_patients_with_one_visit_or_unlabeled_visits_are_not_chosen():
    world = observations({"a": 1.0, "b": 2.0, "c": 3.0}).with_columns(
        pl.when((pl.col("patient") == "b") & (pl.col("visit") == 1))
        .then(None)
        .otherwise(pl.col("score"))
        .alias("score")
    )
    assert [patient for patient, _ in choose_patients(world, count=12)] == ["a", "c"]
    assert choose_patients(world.clear()) == []


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


def test_pictures_are_svg_with_text_and_their_own_ids(demo):
    runs = [load(run) for run in find_runs(demo)]
    pictures = draw(runs)
    assert [picture.name for picture in pictures] == ["distance", "trajectories", "loss"]
    ids: list[str] = []
    for picture in pictures:
        root = ET.fromstring(picture.svg())
        assert root.attrib["aria-label"] == picture.alt
        ids += [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    text = "".join(ET.fromstring(pictures[0].svg()).itertext())
    for run in runs:
        assert run.title in text
        assert interval(run.rows["embedding_distance_spearman"]) in text
    assert pictures[0].svg() == draw(runs)[0].svg()


def test_one_axis_for_all_panels(demo):
    axes = [axis for axis in distance([load(run) for run in find_runs(demo)]).figure.axes if axis.get_visible()]
    assert len(axes) == 3
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in axes}) == 1


def test_no_patient_is_named_beyond_eight_characters(demo):
    runs = [load(run) for run in find_runs(demo)]
    svg = trajectories(runs).svg()
    for patient in runs[0].observations["patient"].unique():
        assert patient[:9] not in svg


def test_nothing_to_draw_draws_nothing(run_at, tmp_path):
    run = run_at(tmp_path / "one", fine=False)
    (run / "metrics.jsonl").unlink()
    assert draw([load(run)]) == []


def test_lost_steps_leave_a_loss_curve(demo):
    (demo / "mse" / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": null}\n{"step": 3, "loss": 1}\n'
    )
    assert "from 2 to 1" in loss([load(demo / "mse")]).alt
