"""Steps that are not finite: told with their rows, one step late, and ten in a row are the end."""

import numpy as np
import pytest

from learner_jax.config import Config
from learner_jax.nonfinite import IN_A_ROW, NonFinite
from tfds_builders.errors import InputError


def watch(skips, before=0, steps=100):
    """Feed a run in which the steps of ``skips`` were skipped; returns what was said."""
    said, count = [], before
    look = NonFinite(Config(steps=steps), lambda step: np.array([step + 100, step]), before, said.append)
    for step in range(1, steps + 1):
        count += step in skips
        look(step, None, {"skipped": np.float32(count)})
    return said


def test_each_is_told_with_its_rows():
    found = watch({3, 4, 100}, before=7)
    assert found == [
        f"step {step} changed nothing: its loss or gradient is not finite. Rows of the cohort: {step}, {step + 100}"
        for step in (3, 4, 100)
    ]


def test_ten_in_a_row_end_the_run_and_nine_do_not():
    nine = {*range(5, 5 + IN_A_ROW - 1), *range(30, 30 + IN_A_ROW - 1)}
    assert len(watch(nine)) == 18
    with pytest.raises(InputError, match=r"of 10 steps in a row, up to step 14, .* --config.optim.learning_rate"):
        watch(set(range(5, 15)))


def test_the_last_before_a_stop_is_told_too_and_once():
    said = []
    look = NonFinite(Config(steps=9), lambda step: np.array([step]), 0, said.append)
    look(1, None, {"skipped": np.float32(0)})
    look(2, None, {"skipped": np.float32(1)})
    assert said == []
    look.flush()
    look.flush()
    assert said == ["step 2 changed nothing: its loss or gradient is not finite. Rows of the cohort: 2"]
