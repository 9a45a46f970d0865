import json
import shutil

import pytest

from learner_jax.report.runs import find_runs, load, not_evaluated
from tfds_builders.errors import InputError


def test_finds_runs_by_name_and_a_run_itself(demo):
    (demo / "report").mkdir()
    assert [run.name for run in find_runs(demo)] == ["combined", "contrastive", "mse"]
    assert find_runs(demo / "mse") == [demo / "mse"]


def test_no_folder_no_run_and_no_evaluation_each_say_what_to_do(demo, tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; give a run, or a folder of runs"):
        find_runs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no run: .*python -m learner_jax.main --config"):
        find_runs(tmp_path / "empty")
    for run in ("combined", "contrastive", "mse"):
        shutil.rmtree(demo / run / "eval")
    with pytest.raises(
        InputError, match=r"3 runs \(combined, contrastive, mse\) and no evaluation. .*evaluate --workdir"
    ):
        find_runs(demo)
    with pytest.raises(InputError, match=r"mse has no evaluation. .*evaluate --workdir"):
        load(demo / "mse")


def test_a_run_without_evaluation_is_left_out_and_named(demo):
    shutil.rmtree(demo / "mse" / "eval" / "300")
    assert [run.name for run in find_runs(demo)] == ["combined", "contrastive"]
    assert [run.name for run in not_evaluated(demo)] == ["mse"]


def test_newest_step_is_the_largest_number_not_the_last_word(demo):
    shutil.copytree(demo / "mse" / "eval" / "300", demo / "mse" / "eval" / "1000")
    path = demo / "mse" / "eval" / "1000" / "scores.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "step": 1000}))
    assert load(demo / "mse").step == 1000


def test_a_hash_of_digits_stays_text(demo):
    path = demo / "mse" / "eval" / "300" / "observations.csv"
    path.write_text(
        "patient,visit,time_days,score,predicted,split\n0012345678,0,0,1.0,nan,test\n12e4567890,0,0,,1,test\n"
    )
    observations = load(demo / "mse").observations
    assert observations["patient"].to_list() == ["0012345678", "12e4567890"]
    assert observations["predicted"].to_list() == [None, 1.0]
    assert observations["score"].to_list() == [1.0, None]


def test_nan_in_scores_is_nothing(demo):
    path = demo / "mse" / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    scores["rows"][0]["value"] = float("nan")
    path.write_text(json.dumps(scores))
    assert load(demo / "mse").rows["pairwise_accuracy"].value is None


def test_pairs_that_are_not_scored_are_left_out(run_at, tmp_path):
    every, neighbours = (load(run_at(tmp_path / order, order=order)) for order in ("all", "consecutive"))
    assert (every.pairs.height, neighbours.pairs.height) == (35 * 6, 35 * 3)
    assert (neighbours.pairs["visit_2"] - neighbours.pairs["visit_1"]).to_list() == [1.0] * 105


def test_why_something_is_missing_is_read(demo):
    run = load(demo / "mse")
    assert run.notes["lilac"] == "lilac: the objective 'mse' trained no head 'difference'"
    assert run.floor_notes["view_only"] == "all scans are of one view (left)"


def test_sections_are_read_in_any_order_of_their_columns(demo):
    path = demo / "mse" / "eval" / "300" / "scores.csv"
    path.write_text("section,at,name,note,value,low,high,n_patients,n_pairs\nridge,3,grade,,0.5,,,35,\n")
    (row,) = load(demo / "mse").sections.to_dicts()
    assert (row["at"], row["name"], row["value"], row["low"], row["n_pairs"]) == ("3", "grade", 0.5, None, None)


def test_an_evaluation_without_pairs_floors_or_notes_is_read(run_at, tmp_path):
    folder = run_at(tmp_path / "one", fine=False)
    assert (folder / "eval" / "300" / "pairs.csv").read_text() == ""
    for name in ("floors.json", "floors.csv"):
        (folder / "eval" / name).unlink()
    path = folder / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    del scores["notes"]
    path.write_text(json.dumps(scores))
    run = load(folder)
    assert (run.pairs.height, run.floors, run.floor_notes, run.notes, run.floor_sections.height) == (0, {}, {}, {}, 0)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("scores.json", "{", r"scores.json cannot be read .* Evaluate the run again"),
        ("scores.json", "[]", r"it holds a list, not an object"),
        ("scores.json", '{"rows": [{"name": "f1"}]}', r"has a row that is not a score"),
        ("observations.csv", "patient,visit\na,1\n", r"lacks the column time_days; it has patient, visit"),
        ("pairs.csv", "patient,delta\na,word\n", r"pairs.csv cannot be read"),
        ("pairs.csv", "patient,first\na,0\n", r"lacks the column second; .* Evaluate again: `python -m .* --again`"),
        ("scores.csv", "section,name\nridge,brier\n", r"scores.csv lacks the column at"),
    ],
)
def test_damage_is_said_with_the_file(demo, file, text, message):
    (demo / "mse" / "eval" / "300" / file).write_text(text)
    with pytest.raises(InputError, match=message):
        load(demo / "mse")
