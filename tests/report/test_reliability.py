import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from learner_jax.report.reliability import bins, reliability
from learner_jax.report.runs import load
from learner_jax.report.study import read_study


@pytest.fixture
def unsure(demo):
    """A run whose probabilities differ from pair to pair."""
    return load(demo / "mse")


def with_chances(demo, chances: str) -> None:
    """The last three columns of the pairs anew."""
    path = demo / "mse" / "eval" / "300" / "pairs.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *(line.rsplit(",", 3)[0] + chances for line in lines), ""]))


def test_bins_are_those_of_scikit_learn(unsure):
    p = unsure.pairs.select("p_decreased", "p_stable", "p_increased").to_numpy()
    right = p.argmax(axis=1) - 1 == unsure.pairs["change"].to_numpy()
    share, confidence = calibration_curve(right, p.max(axis=1), n_bins=10, strategy="quantile")
    table = bins(unsure)
    np.testing.assert_allclose(table["confidence"], confidence)
    np.testing.assert_allclose(table["right"], share)
    assert table["pairs"].sum() == unsure.pairs.height


def test_intervals_are_over_patients(unsure):
    """Beside a bootstrap in loops that draws patients with all their pairs."""
    table, rng = bins(unsure), np.random.default_rng(1)
    p = unsure.pairs.select("p_decreased", "p_stable", "p_increased").to_numpy()
    right, confidence = p.argmax(axis=1) - 1 == unsure.pairs["change"].to_numpy(), p.max(axis=1)
    which = np.searchsorted(np.quantile(confidence, np.arange(1, 10) / 10), confidence)
    patient = unsure.pairs["patient"].to_numpy()
    names, found = np.unique(patient), []
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(patient == name) for name in rng.choice(names, len(names))])
        found.append(right[rows][which[rows] == 4].mean())
    low, high = np.percentile(found, [2.5, 97.5])
    assert table["low"][4] == pytest.approx(low, abs=0.06)
    assert table["high"][4] == pytest.approx(high, abs=0.06)


def test_equal_confidences_share_a_bin_and_one_bin_is_no_diagram(demo):
    with_chances(demo, ",0.2,0.5,0.3")
    assert bins(load(demo / "mse")).height == 1
    assert reliability(read_study(demo / "mse").arms) is None


def test_a_panel_tells_the_calibration_error_of_the_evaluation(unsure, demo):
    picture = reliability(read_study(demo).arms)
    assert "calibration error 0.12" in picture.figure.axes[2].get_title(loc="left")
    ours = [mark.x for mark in picture.marks if mark.axis is picture.figure.axes[2]]
    assert ours == bins(unsure)["confidence"].to_list()


def test_a_readout_without_probabilities_has_no_bins(demo):
    with_chances(demo, ",,,")
    assert bins(load(demo / "mse")).is_empty()
