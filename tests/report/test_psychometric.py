import numpy as np
import pytest

from learner_jax.report.arms import alone
from learner_jax.report.psychometric import curve, psychometric, span
from learner_jax.report.runs import load
from learner_jax.report.study import read_study
from tfds_builders.errors import InputError


def test_bins_are_drawn_at_the_median_of_their_pairs(demo):
    run = load(demo / "mse")
    moved = np.abs(run.pairs["delta"].to_numpy())
    for one, (low, high) in zip(curve(run), ((0.5, 10), (10, 40), (40, 90), (90, 400)), strict=True):
        assert one.size == pytest.approx(np.median(moved[(moved >= low * (1 - 5e-4)) & (moved <= high * (1 + 5e-4))]))
    assert [one.row.value for one in curve(run)] == [0.5, 0.5375, 0.575, 0.6125]


def test_a_bin_without_a_value_or_of_another_readout_is_left_out(demo):
    path = demo / "mse" / "eval" / "300" / "scores.csv"
    lines = path.read_text().splitlines()
    at = next(at for at, line in enumerate(lines) if "accuracy_by_size" in line)
    lines[at] = "ridge,accuracy_by_size,,,,35,210,undefined,0.5 to 10"
    path.write_text("\n".join([*lines, "knn,accuracy_by_size,0.9,0.8,1.0,35,210,,1 to 2", ""]))
    assert [one.row.value for one in curve(load(demo / "mse"))] == [0.5375, 0.575, 0.6125]


def test_one_axis_holds_a_curve_of_each_arm_with_intervals_and_the_75_percent_line(seeds):
    picture = psychometric(read_study(seeds).arms)
    (axis,) = picture.figure.axes
    assert len(axis.containers) == 3
    line, _, (bars,) = axis.containers[1].lines
    rows = [one.row for one in curve(load(seeds / "mse-0"))]
    np.testing.assert_allclose(line.get_ydata(), [row.value for row in rows])
    ends = [[row.low, row.high] for row in rows]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], ends)
    assert "75 %" in [other.get_label() for other in axis.lines]
    assert picture.alt.count("right 75 % at") == 3
    assert picture.caption.endswith("Of an arm of several seeds the first is drawn.")


def test_without_bins_there_is_no_picture(run_at, tmp_path):
    assert psychometric([alone(load(run_at(tmp_path / "one", fine=False)))]) is None


def test_spans_and_single_values_are_read():
    assert span("5") == pytest.approx((5, 5), rel=1e-3)
    assert span("0.0001907 to 0.6359") == pytest.approx((0.0001907, 0.6359), rel=1e-3)
    with pytest.raises(InputError, match=r"calls a bin of .Δscore. 'many', which is no span like '0.5 to 2'"):
        span("many")
