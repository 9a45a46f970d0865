import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import polars as pl
import pytest

from learner_jax.report.arms import alone
from learner_jax.report.figures import _smooth, binned_median, choose_patients, distance, draw, loss, trajectories
from learner_jax.report.forest import forest
from learner_jax.report.picture import COLOURS, STYLE, legend, panels
from learner_jax.report.psychometric import psychometric
from learner_jax.report.runs import find_runs, load
from learner_jax.report.study import read_study
from learner_jax.report.titles import interval
from learner_jax.report.vitals import vitals

NAMES = {
    "figures": [
        *("forest", "psychometric", "distance", "spread", "trajectories"),
        *("confusion", "reliability", "agreement"),
    ],
    "cohort": ["scores"],
    "training": ["loss", "vitals"],
}


def arms_of(folder):
    return [alone(load(run)) for run in find_runs(folder)]


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


def test_the_running_mean_is_that_of_a_tenth_of_the_points():
    values = np.random.default_rng(0).normal(size=201)
    expected = [np.mean([values[i] for i in range(201) if abs(i - at) <= 10]) for at in range(201)]
    np.testing.assert_allclose(_smooth(values), expected, atol=1e-12)
    np.testing.assert_array_equal(_smooth(np.array([3.0])), [3.0])


@pytest.mark.parametrize("name", ["tsm_resnet18_learner_combined_lr0.001_group_norm", "x" * 300])
def test_a_long_name_keeps_its_beginning_and_its_end(run_at, tmp_path, name):
    names = [name[:200] + end for end in ("-one", "-two")]
    for run in names:
        run_at(tmp_path / run, patients=9)
    study = read_study(tmp_path)
    for picture in (forest(study), psychometric(study.arms), loss(study.arms)):
        words = "".join("".join(ET.fromstring(picture.svg()).itertext()).split())
        assert all(name[:10] in words and end in words for end in ("-one", "-two")), picture.name


def test_a_long_legend_leaves_room_for_the_panels(run_at, tmp_path):
    for at in range(6):
        run_at(tmp_path / f"{'an_arm_with_a_long_name_' * 4}{at}", patients=9)
    arms = read_study(tmp_path).arms
    for picture in (vitals(arms), psychometric(arms)):
        picture.svg()  # where an axis has no room left, this warns
        for axis in (axis for axis in picture.figure.axes if axis.get_visible() and axis.lines):
            assert axis.get_window_extent().height / picture.figure.dpi > 0.9, picture.name


def test_pictures_are_svg_with_text_and_their_own_ids(demo):
    arms = arms_of(demo)
    sections = draw(read_study(demo))
    assert {section: [one.name for one in own] for section, own in sections.items()} == NAMES
    pictures = [one for own in sections.values() for one in own]
    ids: list[str] = []
    for picture in pictures:
        root = ET.fromstring(picture.svg())
        assert root.attrib["aria-label"] == picture.alt
        ids += [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    text = "".join(ET.fromstring(pictures[2].svg()).itertext())
    for arm in arms:
        assert arm.title in text
        assert interval(arm.rows["embedding_distance_spearman"]) in text
    with matplotlib.rc_context(STYLE):
        assert pictures[2].svg() == distance(arms).svg()


def test_one_axis_for_all_panels(demo):
    axes = [axis for axis in distance(arms_of(demo)).figure.axes if axis.get_visible()]
    assert len(axes) == 3
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in axes}) == 1


def test_no_patient_is_named_beyond_eight_characters(demo):
    arms = arms_of(demo)
    svg = trajectories(arms).svg()
    for patient in arms[0].first.observations["patient"].unique():
        assert patient[:9] not in svg


def test_what_there_is_nothing_to_draw_of_is_not_drawn(run_at, tmp_path):
    run = run_at(tmp_path / "one", fine=False)
    (run / "metrics.jsonl").unlink()
    assert {name: [one.name for one in own] for name, own in draw(read_study(run)).items()} == {
        "figures": ["spread"], "cohort": ["scores"], "training": [],
    }  # fmt: skip


def test_training_is_read_of_the_runs_that_are_drawn_alone(seeds):
    study = read_study(seeds)
    draw(study)
    read = {run.name for run in study.runs if "metrics" in vars(run)}
    assert read == {"contrastive-0", "mse-0", "single"}


def test_lost_steps_leave_a_loss_curve(demo):
    (demo / "mse" / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": null}\n{"step": 3, "loss": 1}\n'
    )
    assert "from 2 to 1" in loss([alone(load(demo / "mse"))]).alt


def test_the_lowest_panel_of_each_column_has_numbers():
    _, axes = panels(5, columns=3, width=2.0, height=2.0)
    assert [bool(axis.xaxis.get_tick_params()["labelbottom"]) for axis in axes] == [False, False, True, True, True]


def test_one_run_of_an_arm_is_drawn_and_the_caption_says_so(seeds):
    arms = read_study(seeds).arms
    picture = distance(arms)
    shown = [axis for axis in picture.figure.axes if axis.get_visible()]
    assert len(shown) == 3
    np.testing.assert_array_equal(
        np.asarray(shown[1].collections[0].get_offsets())[:, 1], load(seeds / "mse-0").pairs["distance"].to_numpy()
    )
    assert picture.caption.endswith("Of an arm of several seeds the first is drawn.")


def test_at_most_six_arms_are_drawn_and_the_caption_says_so(demo):
    arms = [arm for _ in range(3) for arm in arms_of(demo)]
    for picture in (distance(arms), loss(arms)):
        assert len([axis for axis in picture.figure.axes if axis.get_visible()]) == len(COLOURS)
        assert picture.caption.endswith("The first 6 of 9 arms are drawn.")


def test_only_scored_pairs_are_drawn(run_at, tmp_path):
    run = load(run_at(tmp_path / "one", order="consecutive"))
    assert distance([alone(run)]).figure.axes[0].collections[0].get_offsets().shape[0] == 35 * 3


@pytest.mark.parametrize("word", ["mse", "a_name_that_is_longer_than_what_one_line_of_a_legend_can_hold_" * 2])
def test_a_legend_is_not_cut_off(word):
    with matplotlib.rc_context(STYLE):
        figure, (axis,) = panels(1, columns=1, width=7.2, height=3.6)
        for at in range(6):
            axis.plot([0, 1], label=f"{word} {at}: contrastive + MSE")
        legend(figure, axis)
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


def test_marks_lie_on_what_is_drawn_and_tell_visit_time_score_and_prediction(demo):
    arms = arms_of(demo)
    picture = trajectories(arms)
    document = ET.fromstring(picture.svg())
    circles = [element for element in document.iter() if element.get("class") == "mark"]
    assert [circle.get("data-told") for circle in circles] == [mark.told for mark in picture.marks]
    width, height = (float(size) for size in document.get("viewBox").split()[2:])
    pixels = [mark.axis.transData.transform((mark.x, mark.y)) / picture.figure.bbox.size for mark in picture.marks]
    for circle, (x, y) in zip(circles, pixels, strict=True):
        assert float(circle.get("cx")) == pytest.approx(x * width, abs=0.06)
        assert float(circle.get("cy")) == pytest.approx((1 - y) * height, abs=0.06)
    seen = arms[0].first.observations
    for row in picture.numbers.filter(pl.col("arm") == "combined").to_dicts():
        said = f"score {row['score']:.4g}, predicted {row['predicted']:.4g}"
        told = f"combined: visit {row['visit']:g}, day {row['time_days']:g}: {said}"
        assert told in [mark.told for mark in picture.marks]
        of_patient = seen.filter(pl.col("patient").str.starts_with(row["patient"]) & (pl.col("visit") == row["visit"]))
        assert of_patient["predicted"].item() == row["predicted"]


def test_a_figure_in_a_page_takes_its_colours_and_a_file_keeps_its_own(demo, tmp_path):
    picture = trajectories(arms_of(demo))
    assert "#1c2024" not in picture.svg()
    assert "var(--ink)" in picture.svg()
    picture.save(tmp_path)
    assert "var(" not in (tmp_path / "trajectories.svg").read_text()
    assert pl.read_csv(tmp_path / "trajectories.csv").height == picture.numbers.height
