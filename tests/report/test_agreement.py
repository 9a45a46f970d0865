import csv

import numpy as np

from learner_jax.report.agreement import agreement, differences, limits
from learner_jax.report.runs import load
from learner_jax.report.study import read_study


def test_points_and_lines_are_those_of_numpy(demo):
    with (demo / "mse" / "eval" / "300" / "pairs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["scored"] == "1"]
    true, said = (np.array([float(row[name]) for row in rows]) for name in ("delta", "predicted_delta"))
    picture = agreement(read_study(demo).arms)
    axis = picture.figure.axes[2]
    np.testing.assert_allclose(
        np.asarray(axis.collections[0].get_offsets()), np.stack([(true + said) / 2, said - true], axis=1)
    )
    lines = [line.get_ydata()[0] for line in axis.lines]
    spread = 1.96 * (said - true).std(ddof=1)
    np.testing.assert_allclose(lines, (said - true).mean() + np.array([0, -spread, spread]))


def test_patients_are_named_by_eight_characters(demo):
    run = load(demo / "mse")
    assert set(differences(run)["patient"].str.len_chars()) == {8}
    svg = agreement(read_study(demo).arms).svg()
    assert not any(patient[:9] in svg for patient in run.pairs["patient"].unique())


def test_a_readout_that_is_not_in_score_units_has_none(demo):
    path = demo / "mse" / "eval" / "300" / "scores.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "bland_altman_low" not in line) + "\n")
    assert limits(load(demo / "mse")) == {}
    assert len([axis for axis in agreement(read_study(demo).arms).figure.axes if axis.get_visible()]) == 2
