"""Batches from the memory of the devices are those from the records, to the bit."""

import dataclasses

import jax
import numpy as np
import pytest

from learner_jax.config import DataConfig
from learner_jax.data import cached
from learner_jax.data import cohort as cohorts
from learner_jax.data.device import training_stream
from learner_jax.data.pipeline import open_reader
from learner_jax.data.samplers.shuffled import Shuffled
from learner_jax.mesh import batch_sharding, make_mesh, replicated
from learner_jax.train import train
from tests.contents import digests
from tests.damage import damaged_copy
from tfds_builders.errors import InputError


@pytest.fixture(scope="module")
def cohort(tiny_dataset):
    return cohorts.load(DataConfig(dir=str(tiny_dataset), score="sf_ratio"))


def stream(cohort, config, start=0, stop=20):
    return list(
        training_stream(open_reader(cohort, config), Shuffled(cohort.labeled_train, 16), 3, start, stop, make_mesh())
    )


def assert_same(one, two):
    for a, b in zip(one, two, strict=True):
        assert a.scan.sharding == b.scan.sharding == batch_sharding(make_mesh())
        jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(("frames", "size"), [(2, 21), (4, 32)])
def test_20_steps_are_the_same_in_every_field(cohort, tiny_dataset, frames, size):
    config = DataConfig(dir=str(tiny_dataset), frames=frames, size=size)
    memory = dataclasses.replace(config, cache="device")
    records, cached = stream(cohort, config), stream(cohort, memory)
    assert_same(records, cached)
    assert_same(records[7:9], stream(cohort, memory, 7, 9))
    assert len({batch.scan.shape for batch in cached}) == 1


def test_a_scan_that_comes_again_in_a_batch_shows_other_frames_alike_from_memory(cohort, tiny_dataset):
    config = DataConfig(dir=str(tiny_dataset), frames=1, size=32)
    memory, sampler = dataclasses.replace(config, cache="device"), Shuffled(cohort.labeled_train[:1], 16)
    records, cached = (
        list(training_stream(open_reader(cohort, one), sampler, 3, 0, 8, make_mesh())) for one in (config, memory)
    )
    assert all(len({scan.tobytes() for scan in np.asarray(batch.scan)}) > 1 for batch in records)
    assert_same(records, cached)


def test_a_record_that_cannot_be_read_is_masked_as_without(cohort, tiny_dataset, tmp_path):
    folder = damaged_copy(tiny_dataset, tmp_path / "damaged", int(cohort.labeled_train[5]))
    config = DataConfig(dir=str(folder), frames=2, size=32, max_bad_fraction=0.1)
    memory = dataclasses.replace(config, cache="device")
    assert_same(stream(cohort, config, 0, 6), stream(cohort, memory, 0, 6))
    with pytest.raises(InputError, match="1 of 42 training scans cannot be read"):
        stream(cohort, dataclasses.replace(memory, max_bad_fraction=0.0))


def test_each_device_gathers_its_own_rows():
    mesh = make_mesh()
    shape = lambda dims, dtype, place: jax.ShapeDtypeStruct(dims, dtype, sharding=place)  # noqa: E731
    rows = batch_sharding(mesh)
    arguments = (
        shape((42, 4, 8, 8, 1), np.uint8, replicated(mesh)),
        shape((16,), np.int32, rows),
        shape((16, 2), np.int32, rows),
    )
    program = jax.jit(cached._gather, out_shardings=rows).lower(*arguments).compile().as_text()
    assert not [word for word in ("all-gather", "all-reduce", "collective", "all-to-all") if word in program]


def test_4_steps_of_training_give_the_same_parameters(make_config, tmp_path):
    for cache in ("none", "device"):
        config = make_config()
        config.data.cache, config.eval.readouts = cache, "none"
        train(config, tmp_path / cache)
    assert digests(tmp_path / "device", 4) == digests(tmp_path / "none", 4)
    metrics = [(tmp_path / cache / "metrics.jsonl").read_text() for cache in ("none", "device")]
    assert metrics[0] == metrics[1]


def test_scans_that_do_not_fit_are_refused():
    cached.refuse(100, 100, "TPU_0")
    with pytest.raises(InputError, match=r"scans take 3.00 GiB, and TPU_0 has 2.00 GiB left. Set --config.data.cache="):
        cached.refuse(3 << 30, 2 << 30, "TPU_0")
