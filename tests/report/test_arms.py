import json
import shutil
import statistics

import pytest

from learner_jax.evaluators import arms as written
from learner_jax.report import arms, comparison
from learner_jax.report.study import entries, missing_readouts, read_study
from learner_jax.report.table import make_table
from tfds_builders.errors import InputError


def change(path, edit):
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_files_are_called_as_the_evaluator_calls_them():
    assert (arms.FILE, comparison.FILE) == (written.ARMS_FILE, written.COMPARISON_FILE)


def test_seeds_are_one_line_and_a_single_run_is_one(seeds):
    study = read_study(seeds)
    assert study.notes == ()
    lines = [line for line in make_table(study).lines if line.kind == "arm"]
    assert [(line.name, line.label) for line in lines] == [
        ("contrastive", "3 seeds · contrastive alone"),
        ("mse", "3 seeds · MSE alone"),
        ("single", "huber"),
    ]
    assert [arm.first.name for arm in study.arms] == ["contrastive-0", "mse-0", "single"]


def test_a_cell_holds_mean_interval_and_sd_over_seeds(seeds):
    study = read_study(seeds)
    values = [run.rows["macro_f1"].value for run in study.arms[0].runs]
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    cell = make_table(study).lines[0].cells[1]
    assert cell.text == f"{mean:.2f} [{mean - 0.06:.2f}, {mean + 0.05:.2f}] ± {sd:.2f}"
    assert "±" not in make_table(study).lines[2].cells[1].text


def test_what_an_interval_and_the_sd_cover_is_said_where_there_are_seeds(seeds, demo):
    sentence = "± is the SD over seeds, what another training would change."
    assert any(sentence in said for said in make_table(read_study(seeds)).below)
    assert not any("±" in said for said in make_table(read_study(demo)).below)


def test_all_seeds_of_an_arm_are_entries_when_every_one_is_asked_for(seeds):
    found = [(entry.kind, entry.name) for entry in entries(read_study(seeds), every=True)][:5]
    assert found == [("arm", "contrastive"), *[("run", f"contrastive-{at}") for at in range(3)], ("arm", "mse")]


def test_a_seed_that_is_gone_and_scores_that_are_newer_are_said(seeds):
    shutil.rmtree(seeds / "mse-1")
    change(
        seeds / "contrastive-0" / "eval" / "300" / "scores.json",
        lambda scores: scores["rows"][0].update(value=scores["rows"][0]["value"] + 0.2),
    )
    told = read_study(seeds).notes
    assert told[0].startswith(
        "contrastive: arms.json is older than the scores of its runs (pairwise_accuracy differs). `python -m"
    )
    assert told[1].startswith("mse: arms.json averages over mse-1 too, of which there is no evaluation here.")
    assert [arm.label for arm in read_study(seeds).arms[:2]][1] == "3 seeds · MSE alone"


def test_an_arm_of_which_no_run_is_here_is_said_and_not_shown(seeds):
    for at in range(3):
        shutil.rmtree(seeds / f"mse-{at}")
    study = read_study(seeds)
    assert [arm.name for arm in study.arms] == ["contrastive", "single"]
    assert "mse-0, mse-1, mse-2" in study.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"arms.json cannot be read .* Evaluate the folder again, or remove the file"),
        ("[1]", r"arms.json cannot be read \(it holds a list, not an object\)"),
        ('{"mse": {"runs": ["mse-0"], "rows": []}}', r"arms.json is damaged \(KeyError\('sd_over_seeds'\)\)"),
        ('{"mse": {"runs": [], "sd_over_seeds": {}, "rows": [{}]}}', r"arms.json has a row that is not a score"),
    ],
)
def test_damage_is_said(seeds, text, message):
    (seeds / "arms.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_study(seeds)


def test_why_a_readout_is_missing_is_told_once_for_all_seeds(seeds):
    told = missing_readouts(read_study(seeds).arms)
    assert [(name, owners) for name, _, owners in told] == [
        ("lilac", "single"),
        ("lilac", "contrastive"),
        ("lilac", "mse"),
        ("of_ceiling", "all"),
    ]
    assert told[0][1] == "the objective 'huber' trained no head 'difference'"
