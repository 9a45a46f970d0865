import numpy as np
import pytest

from learner_jax.report.forest import differences, forest
from learner_jax.report.study import entries, read_study
from learner_jax.report.titles import HEADLINE


def test_every_arm_and_floor_has_its_value_and_interval(seeds):
    study = read_study(seeds)
    lines = list(entries(study))
    picture = forest(study)
    for axis, name in zip(picture.figure.axes, HEADLINE, strict=True):
        points = [line for line in axis.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(
            [line.get_xdata()[0] for line in points], [entry.rows[name].value for entry in lines]
        )
        bars = {line.get_ydata()[0]: line.get_xdata() for line in axis.lines if np.ptp(line.get_xdata()) > 0}
        for y, entry in enumerate(lines):
            row = entry.rows[name]
            if row.low is not None:
                np.testing.assert_allclose(bars[y], [row.low, row.high])
    assert [label.get_text() for label in picture.figure.axes[0].get_yticklabels()] == [entry.name for entry in lines]
    assert picture.numbers.height == 3 * len(lines)


def test_without_fine_pairs_there_is_none(run_at, tmp_path):
    run_at(tmp_path / "runs" / "one", fine=False)
    assert forest(read_study(tmp_path / "runs")) is None


def test_differences_are_those_of_the_comparison(seeds, averaged, compared):
    assert differences(read_study(seeds)) is None
    arms = {"mse": ["mse-0", "mse-1", "mse-2"], "single": ["single"]}
    compared(seeds, "contrastive", averaged(seeds, [f"contrastive-{at}" for at in range(3)]), arms)
    study = read_study(seeds)
    picture = differences(study)
    assert picture.title == "How the arms differ from contrastive"
    known = {(arm, one.row.name): one for arm, apart in study.comparison.shown for one in apart}
    assert picture.numbers.height == len(known) == 6
    for row in picture.numbers.to_dicts():
        one = known[row["arm"], row["score"]]
        assert (row["value"], row["low"], row["p_holm"]) == pytest.approx((one.row.value, one.row.low, one.p_holm))
    filled = [line.get_markerfacecolor() for line in picture.figure.axes[0].lines if line.get_marker() == "o"]
    assert "white" not in filled, "all of them have p < 0.05 after Holm"
