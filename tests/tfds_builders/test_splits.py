import dataclasses
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tfds_builders import splits
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta
from tfds_builders.splits import Split

KEY = "00c0ffee00c0ffee"


def patient(i: int) -> str:
    return f"{i:016x}"


def frame_of(owner: Sequence[int], score: Sequence[float]) -> pl.DataFrame:
    """A table with one row per scan: who owns it and how it scores."""
    schema = {"patient": pl.String, "score.s": pl.Float32}
    return pl.DataFrame({"patient": [patient(i) for i in owner], "score.s": list(score)}, schema=schema)


def table(patients: int, scans: int = 3, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    level = rng.normal(size=patients)
    owner = rng.permutation(np.repeat(np.arange(patients), scans))
    return frame_of(owner, level[owner] + 0.1 * rng.normal(size=len(owner)))


def dataset(folder: Path, frame: pl.DataFrame, key: str = KEY) -> Path:
    """What splits need of a built dataset: its table, its metadata and its marker."""
    folder.mkdir(exist_ok=True)
    frame.write_parquet(folder / "cohort.parquet")
    DatasetMeta(
        name="n", version="1", modality="mri", dtype="uint8", axis0="depth", scan_shape=(1, 1, 1, 1), preprocessing={},
        scores=("s",), covariates=(), key_fingerprint=key, fingerprint="f", inputs="i", n_scans=frame.height,
    ).write(folder)  # fmt: skip
    (folder / "COMPLETE").touch()
    return folder


def sizes(split: Split) -> list[int]:
    return [len(patients) for patients in split.parts.values()]


@st.composite
def cohorts(draw) -> tuple[pl.DataFrame, list[list[int]]]:
    """A table of up to 40 patients with tied, far and missing scores; and groups of rows with identical pixels."""
    n = draw(st.integers(1, 40))
    owner = draw(st.permutations([*range(n), *draw(st.lists(st.integers(0, n - 1), max_size=40))]))
    value = st.one_of(st.integers(0, 3).map(float), st.floats(-1e6, 1e6, width=32), st.just(float("nan")))
    frame = frame_of(owner, draw(st.lists(value, min_size=len(owner), max_size=len(owner))))
    if len(owner) < 2:
        return frame, []
    rows = st.lists(st.integers(0, len(owner) - 1), min_size=2, max_size=4, unique=True)
    return frame, draw(st.lists(rows, max_size=4))


def mean_scores(frame: pl.DataFrame) -> dict[str, float]:
    """Of the labeled patients, by polars."""
    means = frame.filter(pl.col("score.s").is_finite()).group_by("patient").agg(pl.col("score.s").cast(float).mean())
    return dict(means.iter_rows())


def together(frame: pl.DataFrame, groups: list[list[int]]) -> list[int]:
    """How many patients each set that shares pixels has, by breadth-first search over the groups."""
    owner = frame["patient"].to_list()
    found, left = [], set(owner)
    while left:
        reached, edge = set(), {left.pop()}
        while edge:
            reached |= edge
            edge = {owner[r] for rows in groups if any(owner[r] in edge for r in rows) for r in rows} - reached
        left -= reached
        found.append(len(reached))
    return found


# ---------------------------------------------------------------------------------------------- one split


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10, 13, 60, 101])
def test_every_scan_is_in_one_part_and_no_patient_in_two(n):
    frame = table(n)
    split = splits.make(frame)
    owner = frame["patient"].to_list()
    splits.check(owner, split)
    rows = split.rows(owner)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(frame.height))
    for part, mine in rows.items():
        assert mine.dtype == np.int64
        assert {owner[row] for row in mine} == set(split.parts[part])
    if n == 1:
        assert sizes(split) == [0, 0, 1]
    elif n == 2:
        assert sizes(split) == [1, 0, 1]
    else:
        assert min(sizes(split)) >= 1
        assert all(abs(size - n * share) <= 1.2 for size, share in zip(sizes(split), splits.FRACTIONS, strict=True))


@given(cohorts(), st.integers(0, 5))
def test_a_split_depends_on_patients_and_seed_and_not_on_row_order(cohort, seed):
    frame, groups = cohort
    turned = [[frame.height - 1 - row for row in rows] for rows in reversed(groups)]
    first = splits.make(frame, seed=seed, duplicates=groups)
    assert first == splits.make(frame.reverse(), seed=seed, duplicates=turned)
    splits.check(frame["patient"].to_list(), first, groups)
    assert sorted(itertools.chain(*first.parts.values())) == frame["patient"].unique().sort().to_list()


def test_another_seed_is_another_split():
    frame = table(40)
    assert splits.make(frame, seed=1).fingerprint != splits.make(frame, seed=2).fingerprint


def test_parts_have_like_scores():
    """Over 20 seeds the parts' means lie several times closer together than unstratified dealing puts them."""
    frame = table(50)
    score = mean_scores(frame)

    def spread(of):
        found = [splits.make(of, seed=seed) for seed in range(20)]
        return np.mean([np.ptp([np.mean([score[p] for p in part]) for part in s.parts.values()]) for s in found])

    assert spread(frame) < 0.5 * spread(frame.drop("score.s"))


def test_unlabeled_patients_are_dealt_out_too():
    frame = table(10).with_columns(pl.lit(float("nan")).cast(pl.Float32).alias("score.s"))
    assert sizes(splits.make(frame)) == [6, 2, 2]


def test_fractions_may_leave_a_part_empty():
    frame = table(10)
    assert sizes(splits.make(frame, (1, 0, 0))) == [10, 0, 0]
    assert sizes(splits.make(frame, (3, 0, 1))) == [8, 0, 2]
    with pytest.raises(InputError, match="--fractions is 0 0 0; it takes three numbers"):
        splits.make(frame, (0, 0, 0))


def test_a_given_split_is_kept():
    given = ["test", "val", "test", "val", "test"]
    split = splits.make(frame_of([0, 1, 2, 1, 0], [0] * 5).with_columns(pl.Series("split", given)))
    assert split == Split("default", (), (patient(1),), (patient(0), patient(2)))


# ---------------------------------------------------------------------------------------------- folds


@given(cohorts(), st.integers(3, 7), st.integers(0, 3))
def test_folds_partition_the_patients_evenly_and_keep_identical_pixels_together(cohort, n, seed):
    frame, groups = cohort
    units = together(frame, groups)
    assume(len(units) >= n)
    found = splits.folds(frame, n, seed, duplicates=groups)
    everyone = frame["patient"].unique().sort().to_list()
    assert [split.name for split in found] == [f"cv-{i}" for i in range(n)]
    for i, split in enumerate(found):
        splits.check(frame["patient"].to_list(), split, groups)
        assert sorted(itertools.chain(*split.parts.values())) == everyone
        assert split.val == found[(i + 1) % n].test
        assert min(sizes(split)) > 0
    assert sorted(itertools.chain(*(split.test for split in found))) == everyone
    tested = [len(split.test) for split in found]
    assert max(tested) - min(tested) <= max(units)
    turned = [[frame.height - 1 - row for row in rows] for rows in reversed(groups)]
    assert found == splits.folds(frame.reverse(), n, seed, duplicates=turned)


@given(cohorts(), st.integers(3, 7))
def test_below_any_score_the_folds_hold_equally_many_patients_give_or_take_one(cohort, n):
    """Random dealing guarantees nothing of the kind; ties and the unlabeled may fall either way."""
    frame, _ = cohort
    assume(frame["patient"].n_unique() >= n)
    found = splits.folds(frame, n)
    means = mean_scores(frame)
    value = {p: means.get(p, np.inf) for p in frame["patient"]}
    for threshold in {*value.values()}:
        below = [sum(value[p] < threshold for p in split.test) for split in found]
        assert max(below) - min(below) <= 1
    tested = [len(split.test) for split in found]
    assert max(tested) - min(tested) <= 1


def test_fold_means_are_closer_than_unstratified_ones():
    """Over 20 seeds; unstratified folds are dealt from a table without scores."""
    frame = table(50)
    score = mean_scores(frame)

    def spread(of):
        found = [splits.folds(of, 5, seed) for seed in range(20)]
        return np.mean([np.ptp([np.mean([score[p] for p in s.test]) for s in five]) for five in found])

    assert spread(frame) < 0.5 * spread(frame.drop("score.s"))


def test_scores_that_cancel_do_not_make_the_order_of_rows_count():
    """1e30 + 3 - 1e30 is 0 or 3 in an ordinary sum, as the rows happen to lie."""
    others = [1, 1, 2, 2, 4, 4, 5, 5]
    found = {
        tuple(splits.folds(frame_of([0, 0, 0, *range(1, 9)], [*scans, *others]), 3))
        for scans in itertools.permutations([1e30, 9.0, -1e30])
    }
    assert len(found) == 1


def test_other_seeds_deal_other_folds():
    frame = table(40)
    assert len({split.fingerprint for seed in range(5) for split in splits.folds(frame, 5, seed)}) == 25


def test_impossible_folds_are_refused():
    with pytest.raises(InputError, match="--folds is 2; it takes 3 or more"):
        splits.folds(table(10), 2)
    with pytest.raises(InputError, match=r"--folds is 5 and only 4 patients can be dealt out .* ask for fewer folds"):
        splits.folds(table(4), 5)
    with pytest.raises(InputError, match="only 4 patients"):
        splits.folds(frame_of(range(5), range(5)), 5, duplicates=[[1, 3]])


def test_what_was_dealt_once_is_dealt_by_every_python_and_every_library_version():
    """Pinned: sha256 and order decide, and no random library. A change here changes the splits of all users."""
    frame = frame_of([*range(12)] * 2, [*range(12), *range(1, 13)])
    assert splits.make(frame, seed=3).fingerprint[:16] == "4b99dcd71f8016f2"
    tested = [[int(p, 16) for p in split.test] for split in splits.folds(frame, 4, seed=3)]
    assert tested == [[1, 7, 10], [0, 5, 11], [2, 4, 9], [3, 6, 8]]


# ---------------------------------------------------------------------------------------------- leaks


@pytest.mark.parametrize(
    ("train", "val", "test", "sentence"),
    [
        (
            ["a", "b"],
            ["c"],
            ["a", "b"],
            "leaks: 2 patients are in more than one part: a (train and test), b (train and",
        ),
        (["a"], ["a"], ["b"], "leaks: 1 patient is in more than one part: a (train and val); a patient belongs to one"),
        (["a", "b", "b"], [], ["c"], "names 1 patient twice: b. Make another split"),
        (["x"], [], ["y", "z"], "names 3 patients and none of the 3 patients of this dataset; it was made for others"),
        (list("abcdefgh"), [], list("abcdefgh"), "d (train and test), e (train and test), and 3 more; a patient"),
    ],
)
def test_a_leak_is_said_in_a_sentence(train, val, test, sentence):
    with pytest.raises(InputError) as caught:
        splits.check(["a", "a", "b", "b", "c"], Split("fold0", tuple(train), tuple(val), tuple(test)))
    assert str(caught.value).startswith("split 'fold0' ")
    assert sentence in str(caught.value)


def test_identical_pixels_in_two_parts_are_refused_and_a_patient_in_no_part_does_not_count():
    owner = ["a", "b", "b", "c", "d"]
    split = Split("s", ("a",), ("b",), ("c",))
    splits.check(owner, split, [[1, 2], [3, 4]])
    with pytest.raises(InputError) as caught:
        splits.check(owner, split, [[1, 2], [0, 3, 4]])
    told = str(caught.value)
    assert (
        "leaks: 1 picture with identical pixels in more than one part: row 0 (train, patient a) = row 3 (test, " in told
    )
    assert "python -m tfds_builders.splits DATA_DIR --name …, which keeps these patients together" in told


def test_patients_who_share_pixels_through_a_third_stay_together():
    frame = table(30, scans=1)
    groups = [[0, 7], [7, 20], [3, 4]]
    for seed in range(10):
        part_of = splits.make(frame, seed=seed, duplicates=groups).part_of
        for rows in ([0, 7, 20], [3, 4]):
            assert len({part_of[frame["patient"][row]] for row in rows}) == 1


def test_many_patients_who_share_pixels_go_into_the_largest_part():
    for patients in range(16, 26):
        frame = table(patients, scans=1)
        split = splits.make(frame, duplicates=[list(range(8))])
        assert {frame["patient"][row] for row in range(8)} <= set(split.train)
        assert min(sizes(split)) > 0


def test_test_patients_that_a_run_saw_are_refused_by_number_and_hash():
    trained = Split("a", ("1", "2", "3"), ("4",), ("5",))
    splits.check_unseen(trained, {"5", "6"})
    with pytest.raises(InputError) as caught:
        splits.check_unseen(trained, {"2", "3", "4", "5", "6"})
    assert str(caught.value).startswith(
        "3 of 5 test patients were seen in training: 2 in the run's train part and 1 in its val part: 2 (train), "
        "3 (train), 4 (val). Choose a split that tests on others with "
    )


# ---------------------------------------------------------------------------------------------- files


def test_a_split_comes_back_as_written_and_equal_splits_are_equal_bytes(tmp_path):
    folder = dataset(tmp_path / "data", table(10))
    split = splits.make(table(10), seed=3, name="fold0")
    path = splits.write(folder, split)
    assert splits.read(folder, "fold0") == split
    assert set(json.loads(path.read_text())) == {"key_fingerprint", "train", "val", "test"}
    turned = Split("turned", split.train[::-1], split.val[::-1], split.test[::-1])
    assert splits.write(folder, turned).read_bytes() == path.read_bytes()
    assert turned.fingerprint == split.fingerprint
    with pytest.raises(InputError, match="has no split 'fold'; did you mean 'fold0'"):
        splits.read(folder, "fold")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"val": "x"}, 'val holds "x"; it is a list of patients'),
        ({"train": [0, 1]}, "train holds 0; it is a list of patients, as the 16 hex digits that cohort.parquet has"),
        ({"test": ["Jane Doe"]}, 'test holds "Jane Doe"'),
        ({"note": "by Jane Doe"}, "does not hold key_fingerprint, test, train, val and nothing else"),
        ({"key_fingerprint": "0" * 16}, f"by hashes of the key {'0' * 16}, .* by those of the key {KEY}"),
    ],
)
def test_a_file_that_is_no_split_of_this_key_is_refused(tmp_path, change, sentence):
    folder = dataset(tmp_path / "data", table(10))
    path = splits.write(folder, splits.make(table(10)))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=sentence):
        splits.read(folder, "default")
    for text in ("{", "[" * 200_000):
        path.write_text(text)
        with pytest.raises(InputError, match=r"default\.json cannot be read"):
            splits.read(folder, "default")


def test_the_list_of_duplicates_is_read_and_a_damaged_one_refused(tmp_path):
    folder = dataset(tmp_path / "data", table(4))
    assert splits.duplicates(folder) == []
    path = folder / splits.DUPLICATES_FILE
    path.write_text("[[0, 11]]")
    assert splits.duplicates(folder) == [[0, 11]]
    for text in ("{}", "[[0, 12]]", "[0, 1]", '[["0", 1]]'):
        path.write_text(text)
        with pytest.raises(InputError, match="is not a list of lists of rows from 0 to 11"):
            splits.duplicates(folder)


# ---------------------------------------------------------------------------------------------- the command


def test_the_command_adds_a_split_to_a_dataset(tmp_path, capsys):
    table(10).write_parquet(tmp_path / "cohort.parquet")
    assert splits.main([str(tmp_path), "--name", "fold0"]) == 2
    assert "holds no marker file COMPLETE" in capsys.readouterr().err
    dataset(tmp_path, table(10))
    command = [str(tmp_path), "--name", "fold0", "--seed", "1", "--fractions", ".5", ".2", ".3"]
    assert splits.main(command) == 0
    assert "train 5 patients, 15 scans; val 2 patients, 6 scans; test 3 patients" in capsys.readouterr().out
    assert splits.read(tmp_path, "fold0").fingerprint == splits.make(table(10), (0.5, 0.2, 0.3), 1).fingerprint
    assert splits.main(command) == 2
    assert "already has a split 'fold0'" in capsys.readouterr().err
    assert splits.main([str(tmp_path), "--name", "../x"]) == 2
    with pytest.raises(SystemExit, match="2"):
        splits.main([str(tmp_path), "--folds", "5"])
    assert "--name is missing" in capsys.readouterr().err


def test_the_command_writes_folds_and_keeps_identical_pixels_together(tmp_path, capsys):
    frame = table(11)
    dataset(tmp_path, frame)
    (tmp_path / splits.DUPLICATES_FILE).write_text("[[0, 1, 2]]")
    assert splits.main([str(tmp_path), "--name", "cv", "--folds", "5"]) == 0
    found = [splits.read(tmp_path, f"cv-{i}") for i in range(5)]
    assert found == splits.folds(frame, 5, duplicates=[[0, 1, 2]])
    capsys.readouterr()
    assert splits.main([str(tmp_path), "--list"]) == 0
    assert capsys.readouterr().out == "".join(f"{splits.describe(frame, split)}\n" for split in found)
    assert splits.main([str(tmp_path), "--name", "cv", "--folds", "6"]) == 2
    assert not (tmp_path / "splits" / "cv-5.json").exists(), "a taken name is seen before anything is written"


def test_a_published_split_is_applied_to_another_dataset_of_the_key(tmp_path, capsys):
    first, second = (
        dataset(tmp_path / "a", table(10)),
        dataset(tmp_path / "b", table(14).filter(pl.col("patient") > patient(1))),
    )
    published = splits.write(first, splits.make(table(10)))
    assert splits.main([str(second), "--name", "official", "--from", str(published)]) == 0
    assert (second / "splits" / "official.json").read_bytes() == published.read_bytes()
    told = capsys.readouterr().out
    assert "; in no part 4 patients, 12 scans; 2 patients named without a scan here\n" in told
    rows = splits.read(second, "official").rows(pl.read_parquet(second / "cohort.parquet")["patient"].to_list())
    assert sum(map(len, rows.values())) == 8 * 3
    assert splits.read(second, "official").fingerprint == splits.read(first, "default").fingerprint


def test_a_published_split_is_checked_before_it_is_copied(tmp_path, capsys):
    folder = dataset(tmp_path / "a", table(10, scans=1))
    dealt = splits.make(table(10, scans=1))
    owner = table(10, scans=1)["patient"].to_list()
    one, other = owner.index(dealt.train[0]), owner.index(dealt.test[0])
    (folder / splits.DUPLICATES_FILE).write_text(json.dumps([[one, other]]))
    file = tmp_path / "published.json"
    faults = {
        "identical pixels in more than one part": (dealt, KEY),
        "1 patient is in more than one part": (dataclasses.replace(dealt, val=(*dealt.val, dealt.train[0])), KEY),
        "cannot be matched": (dealt, "0" * 16),
        "none of the 10 patients": (Split("x", (patient(99),), (), ()), KEY),
    }
    for sentence, (split, key) in faults.items():
        splits.write_file(file, split, key)
        assert splits.main([str(folder), "--name", "new", "--from", str(file)]) == 2
        assert sentence in capsys.readouterr().err
    assert splits.main([str(folder), "--name", "new", "--from", str(tmp_path / "none.json")]) == 2
    assert "none.json cannot be read" in capsys.readouterr().err
    assert not (folder / "splits").exists()


def test_a_description_gives_mean_and_range_of_the_first_score():
    frame = frame_of([0, 0, 1, 2], [1, 4, float("nan"), 7])
    told = splits.describe(frame, Split("s", (patient(0), patient(1)), (patient(1),), ()))
    assert told.splitlines()[1] == "mean s (lowest to highest): train 2.5 (1 to 4); val unlabeled; test unlabeled"


def test_the_module_runs_as_a_command_without_a_warning(tmp_path):
    folder = dataset(tmp_path / "a", table(5))
    splits.write(folder, splits.make(table(5)))
    command = [sys.executable, "-W", "error", "-m", "tfds_builders.splits", str(folder), "--list"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("split default: train 3 patients, 9 scans; ")
    assert not done.stderr
