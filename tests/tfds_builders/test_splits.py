import json

import numpy as np
import polars as pl
import pytest

from tfds_builders import splits
from tfds_builders.errors import InputError


def table(patients: int, scans: int = 3, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    names = [f"{i:04x}" for i in range(patients)]
    level = rng.normal(size=patients)
    rows = [(n, level[i] + 0.1 * rng.normal()) for i, n in enumerate(names) for _ in range(scans)]
    order = rng.permutation(len(rows))
    return pl.DataFrame(
        {"patient": [rows[i][0] for i in order], "score.s": [rows[i][1] for i in order]},
        schema={"patient": pl.String, "score.s": pl.Float32},
    )


def sizes(frame, split):
    patients = np.array(frame["patient"].to_list())
    return [len(set(patients[rows])) for rows in split.parts.values()]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10, 13, 60, 101])
def test_every_scan_is_in_one_part_and_no_patient_in_two(n):
    frame = table(n)
    split = splits.make(frame)
    splits.check(frame["patient"].to_list(), split)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(split.parts.values()))), np.arange(frame.height))
    counts = sizes(frame, split)
    if n == 1:
        assert counts == [0, 0, 1]
    elif n == 2:
        assert counts == [1, 0, 1]
    else:
        assert min(counts) >= 1
        assert all(abs(count - n * share) <= 1.2 for count, share in zip(counts, splits.FRACTIONS, strict=True))


def test_a_split_depends_on_patients_and_seed_and_not_on_row_order():
    frame = table(40)
    again = frame.reverse()
    first, second = splits.make(frame, seed=1), splits.make(again, seed=1)
    for part, rows in first.parts.items():
        assert set(frame["patient"][rows]) == set(again["patient"][second.parts[part]])
    assert first.fingerprint == splits.make(frame, seed=1).fingerprint != splits.make(frame, seed=2).fingerprint


def test_parts_have_like_scores():
    """Over 20 seeds the parts' means lie several times closer together than unstratified dealing puts them."""
    frame = table(50)
    score = frame["score.s"].to_numpy()

    def spread(of):
        found = [splits.make(of, seed=seed) for seed in range(20)]
        return np.mean([np.ptp([score[rows].mean() for rows in split.parts.values()]) for split in found])

    assert spread(frame) < 0.5 * spread(frame.drop("score.s"))


def test_unlabeled_patients_are_dealt_out_too():
    frame = table(10).with_columns(pl.lit(float("nan")).cast(pl.Float32).alias("score.s"))
    assert sizes(frame, splits.make(frame)) == [6, 2, 2]


def test_fractions_may_leave_a_part_empty():
    frame = table(10)
    assert sizes(frame, splits.make(frame, (1, 0, 0))) == [10, 0, 0]
    assert sizes(frame, splits.make(frame, (3, 0, 1))) == [8, 0, 2]
    with pytest.raises(InputError, match="--fractions is 0 0 0; it takes three numbers"):
        splits.make(frame, (0, 0, 0))


def test_a_given_split_is_kept():
    frame = table(6).with_columns(
        pl.when(pl.col("patient") < "0003").then(pl.lit("test")).otherwise(pl.lit("val")).alias("split")
    )
    split = splits.make(frame)
    assert sizes(frame, split) == [0, 3, 3]
    assert set(frame["patient"][split.test]) == {"0000", "0001", "0002"}


@pytest.mark.parametrize(
    ("train", "val", "test", "sentence"),
    [
        ([0, 2], [4], [1, 3], "leaks: 2 patients are in more than one part: a (train and test), b (train and test); a"),
        ([0, 1], [1], [2], "leaks: 1 patient is in more than one part: a (train and val)"),
        ([0, 1, 1], [], [2], "names 1 row twice, such as 1"),
        ([0, 5], [], [-1], "names 2 rows that do not exist, such as 5; the dataset has rows 0 to 4"),
    ],
)
def test_a_leak_is_said_in_a_sentence(train, val, test, sentence):
    split = splits.Split("fold0", *(np.array(rows, np.int64) for rows in (train, val, test)))
    with pytest.raises(InputError) as caught:
        splits.check(["a", "a", "b", "b", "c"], split)
    assert str(caught.value).startswith("split 'fold0' ")
    assert sentence in str(caught.value)


def test_a_split_comes_back_as_written(tmp_path):
    split = splits.make(table(10), seed=3, name="fold0")
    splits.write(tmp_path, split)
    back = splits.read(tmp_path, "fold0")
    assert back.fingerprint == split.fingerprint
    assert back.train.dtype == np.int64
    with pytest.raises(InputError, match="has no split 'fold'; did you mean 'fold0'"):
        splits.read(tmp_path, "fold")
    (tmp_path / "splits" / "fold0.json").write_text(json.dumps({"train": [0], "val": "x", "test": []}))
    with pytest.raises(InputError, match="does not hold the lists train, val and test"):
        splits.read(tmp_path, "fold0")


def test_the_command_adds_a_split_to_a_dataset(tmp_path, capsys):
    table(10).write_parquet(tmp_path / "cohort.parquet")
    assert splits.main([str(tmp_path), "--name", "fold0"]) == 2
    assert "holds no marker file COMPLETE" in capsys.readouterr().err
    (tmp_path / "COMPLETE").touch()
    command = [str(tmp_path), "--name", "fold0", "--seed", "1", "--fractions", ".5", ".2", ".3"]
    assert splits.main(command) == 0
    assert "train 5 patients, 15 scans; val 2 patients, 6 scans; test 3 patients" in capsys.readouterr().out
    assert splits.read(tmp_path, "fold0").fingerprint == splits.make(table(10), (0.5, 0.2, 0.3), 1).fingerprint
    assert splits.main(command) == 2
    assert "already has a split 'fold0'" in capsys.readouterr().err
    assert splits.main([str(tmp_path), "--name", "../x"]) == 2
