"""What is read ahead of the steps."""

import threading

import grain

from learner_jax.config import DataConfig
from learner_jax.data.pipeline import read_ahead


def test_all_threads_read_at_once_however_few_batches_are_kept():
    together = threading.Barrier(6)

    def read(step):
        together.wait(timeout=20)  # ends the test where fewer than six come
        return step

    steps = grain.MapDataset.range(12).map(read)
    assert list(read_ahead(steps, DataConfig(read_threads=6, read_ahead=2))) == list(range(12))
