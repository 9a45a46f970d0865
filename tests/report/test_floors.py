import json
import statistics

import pytest

from learner_jax.report.floors import floor_entries, missing_floors
from learner_jax.report.study import read_study
from learner_jax.report.table import make_table


def edit_floors(run, change):
    path = run / "eval" / "floors.json"
    floors = json.loads(path.read_text())
    change(floors)
    path.write_text(json.dumps(floors))


def told(folder, **options):
    return [(entry.name, entry.label) for entry in floor_entries(read_study(folder).arms, **options)]


def test_floors_that_agree_are_shown_once_in_their_order(demo):
    names = ["majority class", "first score alone", "time alone", "raw pixels", "untrained backbone"]
    assert told(demo) == [(name, "") for name in names]


def test_floors_of_arms_that_differ_name_their_runs(demo):
    edit_floors(demo / "mse", lambda floors: floors["rows"]["random_init"][0].update(value=0.123))
    assert told(demo)[-2:] == [("untrained backbone", "of combined, contrastive"), ("untrained backbone", "of mse")]


def test_three_draws_are_one_mean_and_a_floor_that_no_draw_changes_keeps_its_interval(seeds):
    study = read_study(seeds)
    assert told(seeds) == [
        ("majority class", ""),
        *[
            (name, "mean of 3 draws")
            for name in ("first score alone", "time alone", "raw pixels", "untrained backbone")
        ],
    ]
    pixels = next(entry for entry in floor_entries(study.arms) if entry.name == "raw pixels")
    values = [run.floors["pixels"]["macro_f1"].value for run in study.arms[0].runs]
    row = pixels.rows["macro_f1"]
    assert (row.low, row.high, row.n_patients) == (None, None, 35)
    assert row.value == pytest.approx(statistics.fmean(values))
    assert pixels.spread["macro_f1"] == pytest.approx(statistics.stdev(values))
    line = next(line for line in make_table(study).lines if line.name == "raw pixels")
    assert line.cells[1].text == f"{row.value:.2f} ± {pixels.spread['macro_f1']:.2f}"
    assert any("SD over draws of the training patients" in sentence for sentence in make_table(study).below)


def test_a_score_on_which_all_draws_agree_keeps_its_interval(seeds):
    for run in seeds.glob("*-*"):
        edit_floors(run, lambda floors: floors["rows"]["pixels"][0].update(value=0.75, low=0.7, high=0.8))
    edit_floors(seeds / "single", lambda floors: floors["rows"]["pixels"][0].update(value=0.75, low=0.7, high=0.8))
    pixels = next(entry for entry in floor_entries(read_study(seeds).arms) if entry.name == "raw pixels")
    assert (pixels.rows["pairwise_accuracy"].low, "pairwise_accuracy" in pixels.spread) == (0.7, False)


def test_a_score_that_a_draw_leaves_undefined_has_no_mean(seeds):
    for name in ("contrastive-2", "mse-2"):
        edit_floors(seeds / name, lambda floors: floors["rows"]["pixels"][0].update(value=None, low=None, high=None))
    pixels = next(entry for entry in floor_entries(read_study(seeds).arms) if entry.name == "raw pixels")
    row = pixels.rows["pairwise_accuracy"]
    assert (row.value, row.note) == (None, "undefined in 1 of 3 draws")


def test_two_draws_are_shown_one_by_one(seeds):
    for name in ("contrastive-2", "mse-2"):
        (seeds / name / "eval" / "floors.json").write_text((seeds / "mse-0" / "eval" / "floors.json").read_text())
    assert told(seeds)[-2:] == [
        ("untrained backbone", "of contrastive-0, contrastive-2, mse-0, mse-2"),
        ("untrained backbone", "of contrastive-1, mse-1, single"),
    ]


def test_a_run_with_floors_of_its_own_is_no_draw_of_the_others(seeds):
    edit_floors(seeds / "single", lambda floors: floors["rows"]["random_init"][0].update(value=0.123))
    assert told(seeds)[-2:] == [
        ("untrained backbone", "mean of 3 draws of contrastive, mse"),
        ("untrained backbone", "of single"),
    ]


def test_a_file_holds_each_version_beside_the_mean(seeds):
    labels = [label for name, label in told(seeds, every=True) if name == "raw pixels"]
    assert labels == [
        "mean of 3 draws",
        "of contrastive-0, mse-0",
        "of contrastive-1, mse-1, single",
        "of contrastive-2, mse-2",
    ]


def test_the_ceiling_comes_last_and_is_no_floor(demo):
    for run in ("combined", "contrastive", "mse"):
        edit_floors(demo / run, lambda floors: floors["rows"].update(noise_ceiling=floors["rows"]["pixels"]))
    study = read_study(demo)
    last = list(floor_entries(study.arms))[-1]
    assert (last.kind, last.name) == ("ceiling", "noise ceiling")
    assert [line.kind for line in make_table(study).lines][-2:] == ["floor", "ceiling"]
    assert not any("noise ceiling" in sentence for sentence in missing_floors(study.arms))


def test_floors_without_rows_are_one_sentence_each(demo):
    edit_floors(demo / "mse", lambda floors: floors["notes"].pop("view_only"))
    edit_floors(demo / "mse", lambda floors: floors["rows"].update(view_only=floors["rows"]["pixels"]))
    assert missing_floors(read_study(demo).arms) == [
        "No floor “covariates alone”: the dataset stores no covariates (python -m tfds_builders.build … --covariates).",
        "No floor “view alone” of combined, contrastive: all scans are of one view (left).",
        "No noise ceiling: the score's measurement error is not stated: set --config.eval.label_noise=… (its SD, in "
        "score units).",
    ]


def test_an_unknown_floor_is_shown_under_its_own_name(demo):
    edit_floors(demo / "mse", lambda floors: floors["rows"].update(segmenter=floors["rows"]["pixels"]))
    assert told(demo)[-1] == ("segmenter", "")
