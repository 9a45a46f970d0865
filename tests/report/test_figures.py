import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import polars as pl
import pytest

from learner_jax.report.arms import alone
from learner_jax.report.distance import distance
from learner_jax.report.figures import draw
from learner_jax.report.forest import forest
from learner_jax.report.loss import loss
from learner_jax.report.picture import COLOURS, STYLE, legend, panels
from learner_jax.report.psychometric import psychometric
from learner_jax.report.runs import find_runs, load
from learner_jax.report.study import read_study
from learner_jax.report.titles import interval
from learner_jax.report.trajectories import trajectories
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


def test_a_figure_in_a_page_takes_its_colours_and_a_file_keeps_its_own(demo, tmp_path):
    picture = trajectories(arms_of(demo))
    assert "#1c2024" not in picture.svg()
    assert "var(--ink)" in picture.svg()
    picture.save(tmp_path)
    assert "var(" not in (tmp_path / "trajectories.svg").read_text()
    assert pl.read_csv(tmp_path / "trajectories.csv").height == picture.numbers.height
