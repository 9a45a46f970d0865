"""What is read ahead of the steps, and what each row of them draws."""

import threading

import grain
import numpy as np

from learner_jax.config import DataConfig
from learner_jax.data.pipeline import read_ahead, words


def test_all_threads_read_at_once_however_few_batches_are_kept():
    together = threading.Barrier(6)

    def read(step):
        together.wait(timeout=20)  # ends the test where fewer than six come
        return step

    steps = grain.MapDataset.range(12).map(read)
    assert list(read_ahead(steps, DataConfig(read_threads=6, read_ahead=2))) == list(range(12))


def test_each_host_draws_for_its_rows_what_one_host_draws_for_all_and_for_a_scan_that_comes_again_something_else():
    rows = np.array([7, 3, 7, 0, 3, 7, 2, 0])
    drawn = lambda rows, mine: [one.random_raw() for one in words(5, 11, rows, mine)]  # noqa: E731
    whole = drawn(rows, np.arange(8))
    assert drawn(rows, np.array([4, 5, 6, 7])) == whole[4:]
    assert drawn(rows, np.array([0, 2, 5])) == [whole[0], whole[2], whole[5]]
    assert len(set(whole)) == 8
    first = {row: whole[rows.tolist().index(row)] for row in rows.tolist()}
    # as it always was of a batch that holds each scan once
    assert first == {row: np.random.Philox(key=[5, 11], counter=[row, 0, 0, 0]).random_raw() for row in (7, 3, 0, 2)}
