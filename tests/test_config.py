"""Config: what is wrong is said once, with the place to change it."""

import dataclasses
from pathlib import Path

import pytest

from learner_jax import config_fields
from learner_jax.config import Config, check, refuse_changes
from learner_jax.fields import check_override, from_dict, override, walk
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
        ("--config.eval.change_threshold=nan", r"config.eval.change_threshold is nan; it must be finite"),
        ("--config.eval.change_threshold=-1", r"change_threshold is -1.0; it is the largest change of 'severity'"),
        ("--config.data.std=inf", r"config.data.std is inf; it must be finite"),
        ("--config.optim.warmup=500", r"config.optim.warmup is 500.0; it is at most 1"),
        ("--config.optim.momentum=1", r"config.optim.momentum is 1.0; it must be below 1"),
        ("--config.objective.bins=1", r"config.objective.bins is 1; it must not be below 2"),
    ],
)
def test_each_fault_is_a_sentence(argument, sentence):
    config = fine()
    override(config, argument)
    with pytest.raises(InputError, match=sentence):
        check(config)


@pytest.mark.parametrize(
    ("value", "taken"),
    [(1e1, "a whole number"), ("10", "a whole number"), (True, "a whole number"), (None, "a whole number")],
)
def test_a_file_that_gives_another_kind_of_value_is_told(value, taken):
    config = fine()
    config.steps = value
    with pytest.raises(InputError, match=rf"config.steps is {value!r}; it takes {taken}. Set --config.steps"):
        check(config)


def test_a_file_may_give_1_for_a_fraction_but_not_a_path_for_a_text_or_1_for_true():
    config = fine()
    config.optim.warmup = config.eval.change_threshold = 1
    check(config)
    config.augment.flip = 1
    with pytest.raises(InputError, match=r"config.augment.flip is 1; it takes True or False"):
        check(config)
    config.augment.flip, config.optim.freeze = False, Path("a")
    with pytest.raises(InputError, match=r"config.optim.freeze is .*; it takes a text"):
        check(config)


def test_a_file_cannot_set_a_field_that_is_not_there():
    with pytest.raises(AttributeError, match="'OptimConfig' object has no attribute 'lr'"):
        fine().optim.lr = 3


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
    "argument",
    ["--config.steps=abc", "--config.augment.flip=maybe", "--config.steps", "--config.data.split", "--config.data=3"],
)
def test_override_refuses_another_type(argument):
    with pytest.raises(InputError, match=r"does not set a"):
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


def test_every_field_is_on_its_page_with_what_it_takes_its_default_and_a_sentence():
    page = (Path(__file__).parents[1] / "docs" / "config.md").read_text()
    assert page == config_fields.page() + "\n", (
        "the page is older than config.py: python -m learner_jax.config_fields > docs/config.md"
    )
    rows = [[cell.strip() for cell in line.split(" | ")] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(row[0].strip("| `") for row in rows) == sorted(path for path, *_ in walk(Config()))
    assert all(len(row) == 4 and all(row) and "Bound(" not in row[3] for row in rows)
    for row in (
        "| `steps` | int > 0 | 1000 | batches in the whole run; an update takes one, or optim.accumulate of them |",
        "| `data.std` | float > 0 | 0.25 | intensity difference that the backbone sees as 1; likewise |",
        "| `data.max_bad_fraction` | float ≥ 0, ≤ 1 | 0.001 | largest fraction of unreadable scans ",
        "| `augment.flip` | bool | False | mri, photograph: exchange left and right in half of the scans, at random |",
        "| `eval.better` | empty, higher, lower | empty | which scores mean better health; empty: not stated |",
        "| `eval.patients` | test, val | test | which patients to score; ",  # its comment stands above it
        "| `eval.change_threshold` | float or None | None | \\|score difference\\| up to which a patient counts as ",
        "| `objective.weights.simclr` | float ≥ 0 | 1.0 | Weight of the objective of that name within a sum |",
    ):
        assert f"\n{row}" in page
