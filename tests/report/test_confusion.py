import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

from learner_jax.report.confusion import WORDS, confusion, counts
from learner_jax.report.runs import load
from learner_jax.report.study import read_study


def test_counts_are_those_of_scikit_learn(demo):
    run = load(demo / "mse")
    expected = confusion_matrix(run.pairs["change"], run.pairs["predicted_change"], labels=[-1, 0, 1])
    np.testing.assert_array_equal(counts(run), expected)


def test_each_arm_has_a_matrix_whose_rows_sum_to_one(demo):
    picture = confusion(read_study(demo).arms)
    assert len([axis for axis in picture.figure.axes if axis.get_visible()]) == 3
    table = picture.numbers
    for arm in ("combined", "contrastive", "mse"):
        for name in WORDS:
            row = table.filter((pl.col("arm") == arm) & (pl.col("truly") == name))
            assert row["share_of_truly"].sum() == pytest.approx(1)
    assert "mse: MSE alone: right in" in picture.alt


def test_pairs_without_a_class_are_not_counted(demo):
    path = demo / "mse" / "eval" / "300" / "pairs.csv"
    lines = path.read_text().splitlines()
    names = lines[0].split(",")
    cells = lines[1].split(",")
    cells[names.index("predicted_change")] = ""
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    assert counts(load(demo / "mse")).sum() == load(demo / "mse").pairs.height - 1
