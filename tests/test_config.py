"""Config: what is wrong is said once, with the place to change it."""

import dataclasses

import pytest

from learner_jax.config import Config, check, refuse_changes
from learner_jax.fields import check_override, from_dict, override
from tfds_builders.errors import InputError


def fine() -> Config:
    config = Config()
    config.data.dir, config.data.score, config.eval.change_threshold = "somewhere", "severity", 0.5
    return config


def test_a_complete_config_passes():
    check(fine())


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--config.eval.pairs=visit", r"config.eval.pairs is 'visit'; did you mean 'visits'\? possible: scans, visits"),
        ("--config.steps=0", r"config.steps is 0; it must be above 0. Set --config.steps"),
        ("--config.augment.zoom=-1", r"config.augment.zoom is -1.0; it must not be below 0"),
        ("--config.data.max_bad_fraction=1.5", r"config.data.max_bad_fraction is 1.5; it is at most 1"),
        ("--config.data.score=", r"config.data.score is empty; it names the score to learn"),
        ("--config.eval.confidence=95", r"config.eval.confidence is 95.0; it must be below 1"),
        ("--config.eval.change_threshold=nan", r"eval.change_threshold is nan; it is the largest change of 'severity'"),
    ],
)
def test_each_fault_is_a_sentence(argument, sentence):
    config = fine()
    override(config, argument)
    with pytest.raises(InputError, match=sentence):
        check(config)


def test_a_threshold_that_nobody_stated_is_asked_for():
    config = fine()
    config.eval.change_threshold = None
    with pytest.raises(InputError, match=r"in score units, .* Set --config.eval.change_threshold"):
        check(config)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--config.stepz=3", r"config has no field 'stepz'; did you mean 'steps'\?"),
        ("--config.data.scor=x", r"config.data has no field 'scor'; did you mean 'score'\?"),
        ("--config.steps.more=3", r"config.steps has no field 'more'; nothing is possible here"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest(argument, sentence):
    with pytest.raises(InputError, match=sentence):
        check_override(Config, argument)


def test_override_reads_each_type():
    config = fine()
    for argument in (
        "--config.steps=7",
        "--config.augment.flip=true",
        "--config.optim.learning_rate=1e-2",
        "--config.eval.change_threshold=30",
        "--config.backbone.name=tsn_resnet18",
    ):
        override(config, argument)
    assert (config.steps, config.augment.flip, config.optim.learning_rate) == (7, True, 1e-2)
    assert (config.eval.change_threshold, config.backbone.name) == (30.0, "tsn_resnet18")


@pytest.mark.parametrize(
    "argument", ["--config.steps=abc", "--config.augment.flip=maybe", "--config.steps", "--config.data=3"]
)
def test_override_refuses_another_type(argument):
    with pytest.raises(InputError, match=r"sets no|does not set a field"):
        override(fine(), argument)


def test_a_stored_config_comes_back_whole():
    config = fine()
    config.augment.gain = 0.4
    assert from_dict(Config, dataclasses.asdict(config)) == config


def test_a_stored_config_of_another_version_is_refused():
    with pytest.raises(InputError, match="fields that this version lacks: colour"):
        from_dict(Config, dataclasses.asdict(fine()) | {"colour": 1})


def test_resuming_with_another_recipe_is_refused_and_with_other_housekeeping_is_not():
    stored, config = dataclasses.asdict(fine()), fine()
    config.eval.every, config.checkpoint.every, config.data.dir = 5, 7, "moved"
    refuse_changes(stored, config)
    config.optim.learning_rate = 0.5
    with pytest.raises(InputError, match=r"optim.learning_rate was 0.001 and is 0.5. Use a new --workdir"):
        refuse_changes(stored, config)
