"""Batches are placed by a thread, two ahead of the one that is used, and no longer once nobody wants more."""

import threading
import time

from learner_jax.config import DataConfig
from learner_jax.data import cohort as cohorts
from learner_jax.data import device
from learner_jax.data.pipeline import open_reader
from learner_jax.data.samplers.shuffled import Shuffled
from learner_jax.mesh import make_mesh, to_global


def test_two_batches_are_placed_ahead_by_a_thread_that_ends_with_the_stream(tiny_dataset, monkeypatch):
    config = DataConfig(dir=str(tiny_dataset), score="sf_ratio", frames=4, size=32)
    cohort, mesh, by = cohorts.load(config), make_mesh(), []

    def placed(*args):
        by.append(threading.current_thread())
        return to_global(*args)

    monkeypatch.setattr(device, "to_global", placed)
    stream = device.training_stream(open_reader(cohort, config), Shuffled(cohort.labeled_train, 16), 0, 0, 20, mesh)
    for taken in (1, 2):
        next(stream)
        deadline = time.monotonic() + 20
        while len(by) < taken + 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)  # long enough for a batch too many
        assert len(by) == taken + 2
    (thread,) = set(by)
    assert thread is not threading.current_thread()
    stream.close()
    assert not thread.is_alive()
