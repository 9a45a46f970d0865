"""Which trackers a config names, and what of it they may know."""

import sys

import pytest

from learner_jax.config import Config
from learner_jax.report.trackers import chosen, list_trackers
from learner_jax.report.trackers.api import Run, about
from tfds_builders.errors import InputError


def test_names_with_commas():
    assert list_trackers() == ["mlflow", "tensorboard", "wandb"]
    assert list(chosen(" tensorboard, ")) == ["tensorboard"]
    assert chosen("") == {}


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"no tracker is called 'tensorbord'; did you mean 'tensorboard'\?.*trackers="):
        chosen("tensorbord")


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_library_that_is_not_installed_is_named_with_the_command(name, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / name).mkdir()  # a folder of that name, as W&B leaves one, is no library
    with pytest.raises(
        InputError, match=rf"whose library {name} is not installed. Install it with `pip install '.\[{name}\]'`"
    ):
        chosen(f"{name},tensorboard")


def test_paths_of_the_machine_are_not_told():
    config = Config(profile="20:25")
    config.data.dir, config.data.split, config.init_from = "cohorts", "fold3", "earlier"
    config.backbone.weights = "/home/me/P0001.safetensors"
    config.data.score_cuts = "C:\\scans"  # any text may come to hold a path
    config.optim.freeze = "conv1/*, layer1/*"
    told = about(config)
    assert {"data.dir", "init_from", "backbone.weights", "data.score_cuts"}.isdisjoint(told)
    assert (told["data.split"], told["optim.freeze"], told["profile"]) == ("fold3", "conv1/*, layer1/*", "20:25")
    assert told["optim.learning_rate"] == 1e-3
    config.backbone.weights = "r3d18-kinetics"
    assert about(config)["backbone.weights"] == "r3d18-kinetics"


def test_what_a_tracker_calls_a_run_outlives_the_process(tmp_path):
    assert Run(tmp_path, 0, {}).stored_id("wandb") is None
    Run(tmp_path, 0, {}).store_id("wandb", "abc")
    assert Run(tmp_path, 9, {}).stored_id("wandb") == "abc"
    assert Run(tmp_path, 9, {}).stored_id("mlflow") is None
    assert Run(tmp_path / ".." / tmp_path.name, 0, {}).name == tmp_path.name
