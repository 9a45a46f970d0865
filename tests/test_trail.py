"""The trail tells rows, places and steps apart, and padding from none."""

import jax
import jax.numpy as jnp
import numpy as np

from learner_jax.mesh import batch_sharding, make_mesh
from learner_jax.trail import START, follow


def by_definition(steps):
    """The same in Python's integers."""
    trail, word = START, 2**32
    for rows, mask in steps:
        total = 0
        for place, (row, real) in enumerate(zip(rows, mask, strict=True)):
            mixed = ((row + 1) * 0x9E3779B1 + (place + 1) * 0x85EBCA77) % word
            mixed = (mixed ^ mixed >> 15) * 0x2C1B3C6D % word
            mixed = (mixed ^ mixed >> 12) * 0x297A2D39 % word
            total += (mixed ^ mixed >> 15) if real else 0
        trail = (31 * trail + total) % word
    return trail


def test_it_is_its_definition_on_any_number_of_devices():
    rng = np.random.default_rng(0)
    steps = [(rng.integers(0, 2**31 - 1, 16).astype(np.int32), rng.random(16) < 0.8) for _ in range(5)]
    wanted = by_definition([(rows.tolist(), mask.tolist()) for rows, mask in steps])
    for n in (1, 8):
        place, trail = batch_sharding(make_mesh(jax.devices()[:n])), jnp.uint32(START)
        for rows, mask in steps:
            trail = jax.jit(follow)(trail, jax.device_put(rows, place), jax.device_put(mask, place))
        assert int(trail) == wanted


def test_another_row_place_step_or_repetition_is_another_trail():
    rows = np.arange(12, dtype=np.int32).reshape(3, 4)
    real = np.ones(4, bool)
    others = [rows[::-1], rows[:, ::-1], rows[[0, 0, 2]], rows[[0, 1]], rows + 1]
    trails = {by_definition([(step.tolist(), real) for step in steps]) for steps in [rows, *others]}
    assert len(trails) == 6
    rng = np.random.default_rng(1)
    assert len({by_definition([(rng.integers(0, 500, 4).tolist(), real)]) for _ in range(5000)}) > 4995
