"""Records that cannot be read: flipped bytes, cut shards, strange contents; what a run and its scores make of it."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from array_record.python import array_record_module

from learner_jax.config import DataConfig
from learner_jax.data import cohort as cohorts
from learner_jax.data import device
from learner_jax.data.damage import Damage
from learner_jax.data.pipeline import open_reader, training_batches
from learner_jax.data.samplers.shuffled import Shuffled
from learner_jax.data.source import Records, Unreadable, fault
from learner_jax.mesh import make_mesh
from learner_jax.report.writer import read_metrics
from learner_jax.train import train
from tests.command import Run
from tests.contents import digests
from tests.damage import damaged_copy
from tfds_builders.errors import InputError
from tfds_builders.record import Record, features


@pytest.fixture(scope="module")
def cohort(tiny_dataset):
    return cohorts.load(DataConfig(dir=str(tiny_dataset), score="sf_ratio"))


@pytest.fixture(scope="module")
def bad(cohort):
    """One row of each part."""
    return int(cohort.labeled_train[5]), int(cohort.val[1]), int(cohort.test[2])


@pytest.fixture(scope="module")
def damaged(tiny_dataset, bad, tmp_path_factory):
    return damaged_copy(tiny_dataset, tmp_path_factory.mktemp("damaged") / "dataset", *bad)


def rewritten(dataset, folder, change):
    """A copy whose records went through ``change(row, bytes)``."""
    shutil.copytree(dataset, folder)
    (shard,) = folder.glob("*.array_record-*")
    reader = array_record_module.ArrayRecordReader(str(shard))
    records = reader.read_all()
    reader.close()
    writer = array_record_module.ArrayRecordWriter(str(shard), "group_size:1")
    for row, record in enumerate(records):
        writer.write(change(row, record))
    writer.close()
    return folder


def test_damage_stays_with_its_record_also_within_one_read(cohort, tiny_dataset, damaged, bad):
    rows = np.arange(len(cohort.score))
    whole = Records(tiny_dataset, cohort.scan_ids).read(rows)
    records = Records(damaged, cohort.scan_ids)
    for _ in range(2):
        read = records.read(rows)
        assert [row for row in rows if isinstance(read[row], Unreadable)] == sorted(bad)
        assert {one.reason for one in read if isinstance(one, Unreadable)} == {
            "Corrupted Riegeli/records file: chunk data hash mismatch"
        }
        for one, two in zip(whole, read, strict=True):
            if not isinstance(two, Unreadable):
                np.testing.assert_array_equal(one["scan"], two["scan"])


def test_rows_that_another_thread_finds_damaged_meanwhile_shift_no_other(cohort, tiny_dataset, damaged, bad):
    rows = np.arange(len(cohort.score))
    records = Records(damaged, cohort.scan_ids)

    class Overtaken:
        """The dataset's source; while its records are read one by one, another read of all begins and ends."""

        def __init__(self, source):
            self.source, self.overtaken = source, False

        def __getitems__(self, wanted):
            return self.source.__getitems__(wanted)

        def __getitem__(self, row):
            if not self.overtaken and row == max(bad):
                self.overtaken = True
                records.read(rows)
            return self.source[row]

    records._source = Overtaken(records._source)
    read = records.read(rows)
    assert [row for row in rows if isinstance(read[row], Unreadable)] == sorted(bad)
    for row in sorted(set(rows.tolist()) - set(bad)):
        assert read[row]["scan_id"].decode() == cohort.scan_ids[row]


@pytest.mark.parametrize("part", [0.1, 0.9])
def test_of_a_shard_that_was_cut_off_no_record_can_be_read(cohort, tiny_dataset, tmp_path, part):
    folder = shutil.copytree(tiny_dataset, tmp_path / "cut")
    (shard,) = folder.glob("*.array_record-*")
    content = shard.read_bytes()
    shard.write_bytes(content[: int(part * len(content))])
    read = Records(folder, cohort.scan_ids).read(np.arange(4))
    assert all(isinstance(one, Unreadable) for one in read)
    assert str(folder) not in read[0].reason


def test_what_checksums_do_not_see(cohort, tiny_dataset, tmp_path):
    as_built = features(cohort.meta)
    small = features(dataclasses.replace(cohort.meta, scan_shape=(4, 16, 32, 1)))
    pixels, spacing = np.zeros(cohort.meta.scan_shape, np.uint8), np.ones(3, np.float32)
    changes = {
        1: lambda record: record[:-7],
        2: lambda record: b"",
        3: lambda record: b"not an example",
        4: lambda _: small.serialize_example(Record(pixels[:, ::2], spacing).example(cohort.scan_ids[4])),
        5: lambda _: as_built.serialize_example(Record(pixels, spacing).example(cohort.scan_ids[9])),
        6: lambda _: as_built.serialize_example(Record(pixels, spacing, scale=np.nan).example(cohort.scan_ids[6])),
    }
    folder = rewritten(tiny_dataset, tmp_path / "d", lambda row, record: changes.get(row, lambda same: same)(record))
    read = Records(folder, cohort.scan_ids).read(np.arange(8))
    assert [row for row, one in enumerate(read) if isinstance(one, Unreadable)] == [1, 2, 3, 4, 5, 6]
    assert read[5].reason == f"holds the scan {cohort.scan_ids[9]}"
    assert read[6].reason == "its scale or offset is not finite"


def test_pixels_that_are_not_finite_are_a_fault():
    record = {"scan": np.zeros((2, 4, 4, 1), np.float16), "scan_id": b"a", "scale": 1.0, "offset": 0.0}
    assert fault(record, "a") == ""
    for extreme in (65504, -65504, 6e-8):
        record["scan"][1, 2, 3] = extreme
        assert fault(record, "a") == ""
    for lost in (np.nan, -np.nan, np.inf, -np.inf):
        record["scan"][1, 2, 3] = lost
        assert fault(record, "a") == "holds pixels that are not finite"


def test_too_many_are_counted_once_each_and_named():
    said = []
    damage = Damage([f"s{row}" for row in range(40)], 0.1, said.append)
    among = np.arange(10, 40)
    damage.note(12, "torn")
    for _ in range(3):
        damage.count(np.array([12, 39]), among, "training")
    damage.count(np.array([3]), np.arange(10), "evaluated")
    assert damage.spared(np.array([3, 4, 39])).tolist() == [False, True, False]
    damage.count(np.array([14]), among, "training")
    with pytest.raises(
        InputError, match=r"^4 of 30 training scans cannot be read, and config.data.max_bad_fraction is "
    ):
        damage.count(np.array([20, 14]), among, "training")
    assert said[0] == "row 12 of the cohort (scan s12; torn) cannot be read and is left out"
    assert len(said) == 5


def test_none_allowed_means_that_the_first_one_ends_it():
    damage = Damage(["a", "b"], 0.0, lambda text: None)
    damage.count(np.array([], np.int64), np.arange(2), "training")
    with pytest.raises(InputError, match="1 of 2 training scans cannot be read"):
        damage.count(np.array([1]), np.arange(2), "training")


@pytest.fixture(scope="module")
def config(make_config, damaged):
    """A run of 4 steps that sees each training row of the damaged dataset at least once."""
    config = make_config()
    config.data.dir, config.data.max_bad_fraction = str(damaged), 0.1
    config.eval.readouts = "none"
    return config


def test_the_stream_goes_on_under_a_mask_whatever_the_threads(config, cohort, bad, tiny_dataset):
    def stream(threads, folder):
        data = dataclasses.replace(config.data, read_threads=threads, dir=str(folder))
        reader = open_reader(cohort, data)
        return list(training_batches(reader, Shuffled(cohort.labeled_train, 16), 0, 0, 5, make_mesh()))

    one, three, whole = stream(1, config.data.dir), stream(3, config.data.dir), stream(2, tiny_dataset)
    jax.tree.map(np.testing.assert_array_equal, one, three)
    for damaged, batch in zip(one, whole, strict=True):
        np.testing.assert_array_equal(damaged.mask, batch.row != bad[0])
        np.testing.assert_array_equal(damaged.row, batch.row)
        np.testing.assert_array_equal(damaged.scan[damaged.mask], batch.scan[damaged.mask])
        assert not damaged.scan[~damaged.mask].any()
    assert sum((~batch.mask).sum() for batch in one) >= 1


def test_a_run_loses_one_example_names_it_and_scores_without_it(
    config, make_config, bad, tmp_path, capsys, monkeypatch
):
    train(config, tmp_path / "damaged")
    said = capsys.readouterr().out
    for row in bad:
        assert said.count(f"row {row} of the cohort (scan ") == 1, said
    left_out = f"left out: rows {', '.join(map(str, sorted(bad)))}"
    assert f"3 scans could not be read and {left_out}" in said.splitlines()
    scores = json.loads((tmp_path / "damaged/eval/4/scores.json").read_text())
    assert scores["notes"]["unreadable"].endswith(left_out)
    observations = (tmp_path / "damaged/eval/4/observations.csv").read_text().splitlines()
    assert len(observations) == 1 + 72 - len(bad)

    def masked(*args):
        return training_batches(*args).map(lambda batch: dataclasses.replace(batch, mask=batch.row != bad[0]))

    monkeypatch.setattr(device, "training_batches", masked)
    undamaged = make_config()
    undamaged.eval.readouts = "none"
    train(undamaged, tmp_path / "masked")
    assert digests(tmp_path / "masked", 4) == digests(tmp_path / "damaged", 4)
    trails = [
        [line["trail"] for line in read_metrics(tmp_path / name / "metrics.jsonl")] for name in ("damaged", "masked")
    ]
    assert trails[0] == trails[1]


def test_more_than_allowed_end_the_real_command_with_2(damaged, bad, tmp_path):
    run = Run(1, tmp_path / "run", damaged, tmp_path, devices=1, config__steps=40, config__data__max_bad_fraction=0.02)
    assert run.wait() == [2], run.said(0)
    said = run.said(0).splitlines()
    assert said[-1].startswith("error: 1 of 42 training scans cannot be read, and config.data.max_bad_fraction is 0.02")
    assert f"row {bad[0]} of the cohort (scan " in said[-1]
    assert str(damaged) not in said[-1]
    assert "Traceback" not in run.said(0)
