"""A real run that is stopped and goes on, with a tracker that fails: what is seen of it, then and afterwards."""

import dataclasses
import json

import pytest

from learner_jax.preemption import Preempted
from learner_jax.report import goodput
from learner_jax.report.health import look
from learner_jax.report.trackers import api
from learner_jax.report.writer import read_metrics
from learner_jax.train import train
from tests.report.trackers.events import scalars
from tests.traces import traced_steps
from tfds_builders.errors import InputError


class Failing:
    def __init__(self, run):
        self._left = 2

    def write(self, step, values):
        self._left -= 1
        if not self._left:
            raise ConnectionError("the server is gone")

    def close(self, finished):
        raise AssertionError("it was dropped")


@pytest.fixture(scope="module")
def config(make_config):
    config = make_config()
    config.trackers, config.profile, config.eval.every = "tensorboard, failing", "2:3", 2
    return config


@pytest.fixture(scope="module")
def told(config, tmp_path_factory):
    """The run's folder, and what it printed in each of its two lives."""
    workdir, printed = tmp_path_factory.mktemp("runs") / "seen", []
    with pytest.MonkeyPatch.context() as patch:
        things = api._trackers._things
        patch.setitem(things, "failing", api.Kind(Failing, "sys", ""))
        patch.setattr("builtins.print", lambda *words, **_: printed[-1].append(" ".join(map(str, words))))
        printed.append([])
        with pytest.raises(Preempted):
            train(config, workdir, preempted=lambda step: step == 3)
        printed.append([])
        train(config, workdir)
    return workdir, printed


def test_a_failing_tracker_is_said_once_and_training_goes_on(told):
    workdir, printed = told
    sentence = "tracker failing failed: ConnectionError: the server is gone; training goes on without it"
    assert [lines.count(sentence) for lines in printed] == [1, 1]
    assert [line["step"] for line in read_metrics(workdir / "metrics.jsonl")] == [1, 2, 3, 4]


def test_tensorboard_has_every_line_the_speed_and_the_scores(told):
    workdir, _ = told
    one, two = sorted((workdir / "tensorboard").iterdir())
    points = [point for path in (one, two) for point in scalars(path)]
    marks = [step for step, tag, _ in points if tag == "session start"]
    assert marks == [1, 4]
    values = {(step, tag): value for step, tag, value in points}
    for line in read_metrics(workdir / "metrics.jsonl"):
        assert values[line["step"], "loss"] == pytest.approx(line["loss"], rel=1e-6)
        assert (line["step"], "trail") not in values
    scores = {row["name"]: row["value"] for row in json.loads((workdir / "eval/4/scores.json").read_text())["rows"]}
    assert values[4, "eval/pairwise_accuracy"] == pytest.approx(scores["pairwise_accuracy"], rel=1e-6)
    assert values[3, "speed/examples_per_second"] > 0
    assert 0 <= values[3, "speed/input_wait"] <= 1


def test_the_books_hold_both_lives_and_the_table_is_printed(told):
    workdir, printed = told
    first, second = goodput.read(workdir)
    assert [(life.start, life.step, life.ended) for life in (first, second)] == [
        (0, 3, "preempted"),
        (3, 4, "finished"),
    ]
    for life in (first, second):
        assert life.seconds["compile"] > 0
        assert life.seconds["steps"] > 0
        assert life.seconds["checkpoint"] > 0
        assert life.seconds["evaluation"] > 0
    assert first.examples_per_second > 0
    assert goodput.total([first, second]).repeated == 0
    assert any("this process     all 2 processes" in line for line in printed[1])


def test_the_trace_holds_the_steps_of_its_window_alone(told):
    assert traced_steps(told[0] / "profile") == [2, 3]


def test_metrics_do_not_depend_on_who_watches(told, config, tmp_path):
    quiet = dataclasses.replace(config, trackers="", profile="")
    train(quiet, tmp_path / "quiet")
    assert (tmp_path / "quiet/metrics.jsonl").read_bytes() == (told[0] / "metrics.jsonl").read_bytes()
    assert not (tmp_path / "quiet/tensorboard").exists()


def test_status_says_that_it_is_finished(told):
    health = look(told[0])
    assert (health.state, health.step, health.steps, health.checkpoint, health.warnings) == ("finished", 4, 4, 4, ())
    assert health.loss == read_metrics(told[0] / "metrics.jsonl")[-1]["loss"]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("trackers", "wand", "no tracker is called 'wand'; did you mean 'wandb'"),
        ("profile", "9:12", "steps go from 1 to 4"),
    ],
)
def test_what_can_be_known_is_refused_before_anything_is_written(make_config, tmp_path, field, value, sentence):
    config = dataclasses.replace(make_config(), **{field: value})
    with pytest.raises(InputError, match=sentence):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
