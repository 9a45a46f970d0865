"""Augmentation: nothing when switched off, the same for a scan wherever it is computed, safe for ultrasound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learner_jax.augment import augment
from learner_jax.config import AugmentConfig

OFF = AugmentConfig(shift=0.0, zoom=0.0, rotate=0.0, gain=0.0, contrast=0.0)
SCAN = jnp.asarray(np.random.default_rng(0).uniform(0.05, 1, (6, 3, 24, 24, 1)), jnp.float32)
ROWS = jnp.arange(6, dtype=jnp.int32)
KEY = jax.random.key(0)


def run(scan=SCAN, rows=ROWS, key=KEY, config=None):
    return np.asarray(jax.jit(lambda s, r, k: augment(s, r, k, config or AugmentConfig(flip=True)))(scan, rows, key))


def test_switched_off_it_changes_nothing():
    np.testing.assert_allclose(run(config=OFF), SCAN, atol=2e-6)


def test_a_scan_gets_the_same_numbers_at_any_place_of_any_batch():
    order = jnp.asarray([4, 1, 5])
    np.testing.assert_allclose(run(SCAN[order], ROWS[order]), run()[np.asarray(order)], atol=1e-6)


def test_other_steps_and_other_scans_get_other_numbers():
    same = jnp.broadcast_to(SCAN[:1], SCAN.shape)
    first, later = run(same), run(same, key=jax.random.key(1))
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert np.abs(first - later).max() > 0.01


def test_all_frames_of_a_scan_move_together():
    still = jnp.broadcast_to(SCAN[:, :1], SCAN.shape)
    moved = run(still)
    np.testing.assert_array_equal(moved[:, 0], moved[:, 2])


def test_intensities_stay_between_0_and_1_and_black_stays_black():
    fan = SCAN.at[:, :, :, :8].set(0)
    config = AugmentConfig(shift=0.0, zoom=0.0, rotate=0.0, gain=0.5, contrast=0.5)
    lit = run(fan, config=config)
    assert lit.min() >= 0
    assert lit.max() <= 1
    assert (lit[:, :, :, :8] == 0).all()


def test_depth_keeps_its_direction():
    ramp = jnp.broadcast_to(jnp.linspace(0.1, 1, 24)[:, None, None], SCAN.shape)
    for seed in range(5):
        columns = run(ramp, key=jax.random.key(seed), config=AugmentConfig(flip=True))[:, :, 6:18, 6:18]
        assert (columns[:, :, -1].mean((1, 2)) > columns[:, :, 0].mean((1, 2))).all()


def test_flip_is_left_to_right_and_only_when_asked():
    config = AugmentConfig(shift=0.0, zoom=0.0, rotate=0.0, gain=0.0, contrast=0.0, flip=True)
    flipped = run(config=config)
    for before, after in zip(np.asarray(SCAN), flipped, strict=True):
        assert min(np.abs(after - before).max(), np.abs(after - before[:, :, ::-1]).max()) < 1e-5
    assert any(np.abs(after - before).max() > 0.1 for before, after in zip(np.asarray(SCAN), flipped, strict=True))


@pytest.mark.parametrize(
    ("field", "value"), [("shift", 0.1), ("zoom", 0.2), ("rotate", 10.0), ("gain", 0.2), ("contrast", 0.2)]
)
def test_each_strength_does_something(field, value):
    config = AugmentConfig(**(dict.fromkeys(("shift", "zoom", "rotate", "gain", "contrast"), 0.0) | {field: value}))
    assert np.abs(run(config=config) - SCAN).max() > 0.01
