"""The window of a profile: which steps, and that a trace holds them and no others."""

import contextlib
import itertools

import jax
import jax.numpy as jnp
import pytest

from learner_jax.config import Config
from learner_jax.report.ledger import Ledger
from learner_jax.report.profiler import traced, window
from tests.traces import traced_steps
from tfds_builders.errors import InputError


@pytest.mark.parametrize(
    ("text", "steps"), [("", None), ("20:25", (20, 25)), (" 1 : 1 ", (1, 1)), ("100:100", (100, 100))]
)
def test_what_is_a_window(text, steps):
    assert window(Config(steps=100, profile=text)) == steps


@pytest.mark.parametrize("text", ["20", "20-25", "a:b", ":5", "1:2:3", "-1:5", "٣:٤"])
def test_what_is_none_is_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"the first and the last step to trace, such as 20:25.*--config.profile="):
        window(Config(steps=100, profile=text))


@pytest.mark.parametrize("text", ["0:5", "25:20", "20:101"])
def test_steps_that_do_not_come_are_refused(text):
    with pytest.raises(InputError, match=rf"config.profile is '{text}'; steps go from 1 to 100"):
        window(Config(steps=100, profile=text))


@pytest.mark.parametrize(("start", "expected"), [(0, [3, 4]), (3, [4]), (4, [])])
def test_a_trace_holds_the_steps_of_the_window_that_are_left(tmp_path, start, expected):
    add = jax.jit(lambda x: x + 1)
    update = lambda state, batch: (add(state), {"loss": state})  # noqa: E731
    with traced(update, Config(steps=6, profile="3:4"), tmp_path, start, Ledger()) as step:
        state = jnp.zeros(())
        for _ in range(start, 6):
            state, _ = step(state, None)
    assert float(state) == 6 - start
    assert traced_steps(tmp_path / "profile") == expected


def test_a_run_that_stops_within_the_window_leaves_a_trace(tmp_path):
    state = jnp.zeros(())
    with (
        contextlib.suppress(KeyboardInterrupt),
        traced(lambda state, batch: (state, {}), Config(steps=9, profile="2:8"), tmp_path, 0, Ledger()) as step,
    ):
        for number in itertools.count(1):
            state, _ = step(state, None)
            if number == 5:
                raise KeyboardInterrupt
    assert traced_steps(tmp_path / "profile") == [2, 3, 4, 5]
