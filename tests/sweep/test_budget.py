"""Steps that a budget gives, and what they are counted from."""

import jax
import pytest

from learner_jax import backbones
from learner_jax.batch import BatchSpec
from learner_jax.sweep.budget import Model, steps
from learner_jax.sweep.plan import Budget
from learner_jax.sweep.wording import magnitude


def never() -> float:
    raise AssertionError("nothing is to be measured")


def test_each_kind_of_budget_gives_its_steps(make_config):
    config = make_config()
    assert steps(Budget(steps=7), config, never) == 7
    assert steps(Budget(examples=16 * 9 + 3), config, never) == 9
    one = Model.of(config)
    assert steps(Budget(flops=25.4 * one.flops), config, never) == 25
    assert steps(Budget(seconds=3), config, lambda: 80.0) == 15
    config.optim.accumulate = 4
    assert steps(Budget(examples=16 * 9), config, never) == 8
    assert steps(Budget(steps=1), config, never) == 4, "at least one update"


def test_operations_are_three_passes_over_every_copy_of_the_batch(make_config):
    config = make_config()
    backbone, one = backbones.create(config.backbone.name), Model.of(config)
    assert one.flops == 3 * backbone.flops(BatchSpec(config.batch_size, 4, 32, 32, 1))
    assert one.parameters == sum(x.size for x in jax.tree.leaves(backbone.shapes(BatchSpec(1, 4, 32, 32, 1))["params"]))
    config.objective.name = "simclr"
    assert Model.of(config).flops == 2 * one.flops


@pytest.mark.parametrize(
    ("flops", "text"), [(0, "0 FLOP"), (999, "999 FLOP"), (3.14e12, "3.14 TFLOP"), (2e22, "2e+04 EFLOP")]
)
def test_operations_are_written_with_their_prefix(flops, text):
    assert magnitude(flops) == text
