"""What the monitor says of metrics that were made up, and of a real run that is made to collapse."""

import pytest

from learner_jax.objectives.parts import parts
from learner_jax.report.collapse import PATIENCE, diagnose

HEALTHY = {"mean_cosine": 0.2, "effective_rank": 6.0, "zero_loss_share": 0.0, "skipped": 0.0}


def lines(n=PATIENCE, **fields):
    return [{"step": 10 * (i + 1), **HEALTHY, **fields} for i in range(n)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mean_cosine": 0.999}, ("collapsed at step 50", "mean cosine 0.999", "--config.objective.queue")),
        ({"effective_rank": 0.0, "mean_cosine": None}, ("all scans lie on one point (mean cosine unknown)",)),
        ({"effective_rank": 1.001}, ("the embedding is a line", "--config.objective.temperature")),
        ({"zero_loss_share": 1.0}, ("100 % of the scans cost nothing", "--config.sampler.name")),
    ],
)
def test_says_what_is_wrong_and_what_to_try(fields, words):
    for word in words:
        assert word in diagnose(lines(**fields), "learner")


def test_one_good_line_or_too_few_lines_are_no_collapse():
    bad = lines(mean_cosine=0.999)
    assert diagnose(bad[:-1], "learner") == ""
    assert diagnose([*bad[:-1], {"step": 50, **HEALTHY}], "learner") == ""
    assert diagnose(lines(mean_cosine=float("nan"), effective_rank=float("nan")), "learner") == ""


def test_a_regression_may_lie_in_one_corner_and_on_one_line():
    assert diagnose(lines(mean_cosine=0.9995, effective_rank=1.0), "mse") == ""
    assert "collapsed" in diagnose(lines(effective_rank=0.0), "mse")


def test_steps_that_change_nothing_are_named():
    skipping = [line | {"skipped": float(i)} for i, line in enumerate(lines())]
    assert "4 steps up to step 50 changed nothing" in diagnose(skipping, "learner")


def test_what_it_knows_of_the_objectives_is_true():
    for name in parts.list():
        seen = diagnose(lines(effective_rank=1.0), name)
        projected = any(part.pairwise and part.compares == "z" for part in parts.get(name).members)
        assert ("a line" in seen) == projected, name
