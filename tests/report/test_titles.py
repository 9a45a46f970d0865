import pytest

from learner_jax.evaluators.artifacts import HEADLINE
from learner_jax.evaluators.quantities import QUANTITIES
from learner_jax.report.runs import Row
from learner_jax.report.titles import (
    CHANCE,
    IN_SCORE_UNITS,
    TABLES,
    TITLES,
    digits_of,
    folded,
    hint,
    interval,
    listed,
    number,
)


def test_titles_and_chance_levels_are_those_of_the_evaluator():
    assert {name: QUANTITIES[name].title for name in TITLES} == TITLES
    assert {name: QUANTITIES[name].chance for name in CHANCE} == CHANCE
    assert {name for name in TITLES if QUANTITIES[name].chance is not None} == set(CHANCE)


def test_three_tables_hold_the_headline_of_the_evaluator():
    assert [name for columns in TABLES.values() for name in columns] == list(HEADLINE)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Row("x", 0.714, 0.66, 0.751, 4, 9), "0.71 [0.66, 0.75]"),
        (Row("x", -0.02, -0.1, -0.001, 4, 9), "−0.02 [−0.10, 0.00]"),
        (Row("x", 0.5, None, None, 1, 9), "0.50"),
        (Row("x", None, None, None, 0, 0, "no pairs"), "–"),
        (None, "–"),
        (Row("delta_mae", 45.23, 41.02, 49.51, 4, 9), "45.2 [41.0, 49.5]"),
        (Row("score_mae", 0.01234, 0.0101, 0.0143, 4, 9), "0.0123 [0.0101, 0.0143]"),
        (Row("noticed_change", 312.4, 301.2, 320.9, 4, 9), "312 [301, 321]"),
        (Row("noticed_change", 312.4, 301.2, None, 4, 9), "312 [301, ∞]"),
    ],
)
def test_interval(row, text):
    assert interval(row) == text


def test_digits_of_an_amount_have_bounds():
    assert [digits_of("delta_mae", value) for value in (0.0, 1e-12, 1e9, 9.99)] == [2, 6, 0, 2]
    assert digits_of("macro_f1", 312.0) == 2


def test_number_has_no_negative_zero_and_may_have_a_plus():
    assert number(-0.0001) == "0.00"
    assert [number(value, 1, "+") for value in (0.26, -0.26)] == ["+0.3", "−0.3"]


def test_a_hint_says_chance_or_direction():
    assert hint("pairwise_accuracy", "mmse") == "chance 0.5"
    assert hint("balanced_accuracy", "mmse") == "", "1/3 or 1/2, by the classes that occur"
    assert {hint(name, "mmse") for name in IN_SCORE_UNITS} == {"in mmse, lower is better"}
    assert (hint("brier", "mmse"), hint("macro_f1", "mmse")) == ("lower is better", "")


def test_long_lists_are_cut_and_counted():
    assert listed("aabcd") == "a, b, c, d"
    assert listed("abcde") == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("tsm_resnet18-lr0.001", ["tsm_resnet18-lr0.001"]),
        ("tsm_efficientnet_lite-lr0.001", ["tsm_efficientnet_", "lite-lr0.001"]),
        ("less tsm_resnet18-lr0.001", ["less tsm_resnet18-", "lr0.001"]),
        ("a/" * 15, ["a/" * 10, "a/" * 5]),
        ("x" * 45 + "-y", ["x" * 20, "x" * 20, "xxxxx-y"]),
        ("", [""]),
    ],
)
def test_a_name_is_broken_between_its_words(name, lines):
    assert folded(name, 20).split("\n") == lines
