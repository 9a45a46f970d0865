"""An evaluation stores what it scored; runs that differ in their seed form one arm; arms are compared."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from learner_jax import evaluate as command
from learner_jax.evaluators import arms, artifacts
from learner_jax.evaluators.scoring import draws, estimate, rows
from learner_jax.train import train
from tfds_builders.errors import InputError


@pytest.fixture(scope="module")
def folder(make_config, tmp_path_factory) -> Path:
    """Two seeds of one recipe, and one run of another."""
    folder = tmp_path_factory.mktemp("arms")
    for name, objective, seed in (("mse-0", "mse", 0), ("mse-1", "mse", 1), ("learner", "learner", 0)):
        config = make_config()
        config.objective.name, config.seed, config.steps = objective, seed, 2
        train(config, folder / name)
    return folder


def test_stored_predictions_score_as_the_evaluation_did(folder):
    said = artifacts.read_predictions(folder / "mse-0", 2)
    config = json.loads((folder / "mse-0/config.json").read_text())["eval"]
    config = type(command.Config().eval)(**config)
    again = artifacts.headline(rows(estimate(said, draws(said.truth.n_patients, config)), config))
    stored = json.loads((folder / "mse-0/eval/2/scores.json").read_text())["rows"]
    assert [dataclasses.asdict(row) for row in again] == stored


def test_damaged_or_older_evaluations_are_refused(folder, tmp_path):
    run = Path(shutil.copytree(folder / "mse-0", tmp_path / "run"))
    pairs = run / "eval/2/pairs.csv"
    lines = pairs.read_text().splitlines()
    pairs.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    with pytest.raises(InputError, match=r"cannot be compared .*score the run again"):
        artifacts.read_predictions(run, 2)
    pairs.unlink()
    with pytest.raises(InputError, match="cannot be compared"):
        artifacts.read_predictions(run, 2)


def test_seeds_are_one_arm_and_the_folder_says_so(folder):
    grouped = arms.group(command.find(folder))
    assert sorted((arm.name, len(arm.runs)) for arm in grouped) == [("learner", 1), ("mse", 2)]
    command.evaluate(folder)
    written = json.loads((folder / "arms.json").read_text())
    assert set(written) == {"mse"}
    assert written["mse"]["runs"] == ["mse-0", "mse-1"]
    arm = next(arm for arm in grouped if arm.name == "mse")
    values = [artifacts.read_scores(run, 2)["rows"] for run in arm.runs]
    each = [{row["name"]: row["value"] for row in one} for one in values]
    for row in written["mse"]["rows"]:
        if None not in (one := [e[row["name"]] for e in each]):
            assert row["value"] == pytest.approx(np.mean(one), rel=1e-6)
            assert written["mse"]["sd_over_seeds"][row["name"]] == pytest.approx(np.std(one, ddof=1), abs=1e-6)
    assert arm.averaged(command.Config().eval).spread


def test_a_second_run_of_a_seed_does_not_count_twice(folder, tmp_path):
    for name, source in (("mse-0", "mse-0"), ("mse-1", "mse-1"), ("mse-1-again", "mse-1"), ("mse-1-more", "mse-1")):
        shutil.copytree(folder / source, tmp_path / name)
    config = tmp_path / "mse-1-more/config.json"  # another draw of patients is another training
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"data": values["data"] | {"draw": 1}}))
    grouped = arms.group(command.find(tmp_path))
    names = sorted([run.name for run in arm.runs] for arm in grouped)
    assert names == [["mse-0", "mse-1", "mse-1-more"], ["mse-1-again"]]
    assert sorted(arm.name for arm in grouped) == ["mse", "mse-1-again"]


def test_two_recipes_never_share_a_name(folder, tmp_path):
    for name, source in (("a-0", "mse-0"), ("a-1", "mse-1"), ("a-2", "learner")):
        shutil.copytree(folder / source, tmp_path / name)
    assert sorted(arm.name for arm in arms.group(command.find(tmp_path))) == ["a", "a-2"]
    shutil.copytree(folder / "learner", tmp_path / "a-3")
    config = tmp_path / "a-3/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"seed": 9}))
    assert sorted(arm.name for arm in arms.group(command.find(tmp_path))) == ["a-0", "a-2"]


def test_runs_that_average_views_otherwise_are_two_arms(folder, tmp_path):
    for at in (0, 1):
        shutil.copytree(folder / f"mse-{at}", tmp_path / f"mse-{at}")
    config = tmp_path / "mse-1/config.json"
    values = json.loads(config.read_text())
    for field, n in (("bootstrap", 1), ("fusion", 2)):
        changed = values | {"eval": values["eval"] | {field: 7 if field == "bootstrap" else "learnt"}}
        config.write_text(json.dumps(changed))
        assert len(arms.group(command.find(tmp_path))) == n, field


def test_a_recipe_on_two_datasets_is_two_arms_and_a_dataset_that_moved_is_one(folder, tmp_path):
    for at in (0, 1):
        shutil.copytree(folder / f"mse-{at}", tmp_path / f"mse-{at}")
    config, scores = tmp_path / "mse-1/config.json", tmp_path / "mse-1/eval/2/scores.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"data": values["data"] | {"dir": "/elsewhere"}}))
    assert [len(arm.runs) for arm in arms.group(command.find(tmp_path))] == [2]
    values = json.loads(scores.read_text())
    for part in ("data", "split"):
        other = values | {"fingerprints": values["fingerprints"] | {part: "another"}}
        scores.write_text(json.dumps(other))
        assert [arm.name for arm in arms.group(command.find(tmp_path))] == ["mse-0", "mse-1"], part


def test_an_arm_whose_seeds_are_gone_is_not_left_behind(folder, tmp_path):
    config = command.Config().eval
    (two,) = (arm for arm in arms.group(command.find(folder)) if len(arm.runs) == 2)
    assert arms.write_arms(tmp_path, {two: two.averaged(config)}, config) == ["mse"]
    assert set(json.loads((tmp_path / "arms.json").read_text())) == {"mse"}
    assert arms.write_arms(tmp_path, {}, config) == []
    assert json.loads((tmp_path / "arms.json").read_text()) == {}
    (tmp_path / "arms.json").unlink()
    arms.write_arms(tmp_path, {}, config)
    assert not (tmp_path / "arms.json").exists(), "where there never was an arm of several seeds there is no file"


def test_a_comparison_holds_rows_differences_and_p_values(folder, capsys):
    assert command.main(["--workdir", str(folder), "--compare", str(folder / "learner")]) == 0
    assert "mse - learner: pairwise_accuracy" in capsys.readouterr().out
    written = json.loads((folder / "comparison.json").read_text())
    assert written["reference"] == "learner"
    assert set(written["differences"]) == {"mse"}
    own = {row["name"]: row["value"] for row in written["rows"]}
    stored = {row["name"]: row["value"] for row in artifacts.read_scores(folder / "learner", 2)["rows"]}
    assert own["pairwise_accuracy"] == pytest.approx(stored["pairwise_accuracy"])
    for one in written["differences"]["mse"]:
        assert one["row"]["value"] == pytest.approx(one["first"] - one["second"], abs=1e-6)
        assert 0 < one["p"] <= one["p_holm"] <= 1


def test_what_cannot_be_compared_is_a_sentence(folder, tmp_path, capsys):
    alone = Path(shutil.copytree(folder / "learner", tmp_path / "alone"))
    assert command.main(["--workdir", str(alone), "--compare", str(alone)]) == 2
    assert "names the only arm" in capsys.readouterr().err
    assert command.main(["--workdir", str(alone), "--compare", str(tmp_path)]) == 2
    assert "has no evaluation. Score it first" in capsys.readouterr().err
    other = Path(shutil.copytree(folder / "mse-0", tmp_path / "other"))
    assert command.main(["--workdir", str(other), "--config.eval.change_threshold=10"]) == 0
    capsys.readouterr()
    assert command.main(["--workdir", str(alone), "--compare", str(other)]) == 2
    assert "change threshold of 30 and another with 10" in capsys.readouterr().err
