"""The stream of rows: pure in (seed, step), each row once per epoch, the same for any number of hosts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learner_jax.config import Config
from learner_jax.data.samplers.api import Pool
from learner_jax.data.samplers.shuffled import Shuffled, shuffled


@given(n=st.integers(1, 40), batch=st.integers(1, 17), seed=st.integers(0, 2**32))
def test_every_row_comes_once_per_epoch(n, batch, seed):
    pool = np.arange(n) * 3 + 1
    sampler = Shuffled(pool, batch)
    steps = -(-2 * n // batch)
    stream = np.concatenate([sampler.rows(seed, step) for step in range(steps)])
    assert sorted(stream[:n]) == pool.tolist()
    assert sorted(stream[n : 2 * n]) == pool.tolist()


def test_the_stream_is_a_pure_function_of_seed_and_step():
    sampler = Shuffled(np.arange(100), 8)
    forward = [sampler.rows(3, step) for step in range(30)]
    backward = [sampler.rows(3, step) for step in reversed(range(30))][::-1]
    np.testing.assert_array_equal(forward, backward)
    assert not np.array_equal(forward[0], sampler.rows(4, 0))
    assert not np.array_equal(forward[0], Shuffled(np.arange(100), 100).rows(3, 1)[:8]), "epochs differ in order"


def test_the_order_does_not_move_with_the_version_of_numpy():
    # written down once; resuming after an upgrade relies on it
    assert Shuffled(np.arange(10), 10).rows(0, 0).tolist() == EXPECTED_EPOCH_0
    assert Shuffled(np.arange(10), 10).rows(7, 3).tolist() == EXPECTED_SEED_7_EPOCH_3


def test_a_batch_of_more_scans_than_there_are_says_so():
    pool = Pool(np.arange(5), *(np.zeros(5),) * 5)
    config = Config(batch_size=6)
    assert (
        shuffled(config, pool).note
        == "a batch of 6 holds scans more than once, since there are 5 labeled training scans"
    )
    config.batch_size = 5
    assert shuffled(config, pool).note == ""


EXPECTED_EPOCH_0 = [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
EXPECTED_SEED_7_EPOCH_3 = [2, 5, 9, 7, 3, 0, 6, 8, 4, 1]
