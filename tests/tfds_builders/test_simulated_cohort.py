"""What holds for each simulated cohort: its knobs, its null controls, the spread of its scores."""

import subprocess
import sys

import numpy as np
import pytest

from tfds_builders import synthetic_lus, synthetic_mri
from tfds_builders.errors import InputError
from tfds_builders.simulated_cohort import is_null_control
from tfds_builders.synthetic_lus import cohort_model as lus
from tfds_builders.synthetic_mri import cohort_model as mri

COHORTS = pytest.mark.parametrize("model", [lus, mri], ids=["lus", "mri"])
SCORE = {lus: "sf_ratio", mri: "mmse"}
LEAST_NOISY = {lus: 0.99, mri: 0.6}  # part of the null controls whose measured score moves; the healthy keep 30 points


@COHORTS
@pytest.mark.parametrize("ratio", [0.2, 0.35, 1.0])
def test_variance_ratio_is_within_over_between(model, ratio):
    knobs = model.Knobs(n_patients=3000, variance_ratio=ratio, null_fraction=0)
    latent = np.stack([model.trajectory(knobs, p)[1] for p in range(knobs.n_patients)])
    within = latent.var(1, ddof=1).mean()
    assert np.sqrt(within) == pytest.approx(ratio / np.sqrt(1 + ratio**2), rel=0.05)
    # What is alike between visits of a path counts as the patient's own level in this estimate of the SD between.
    between = latent.mean(1).var(ddof=1) - within / knobs.visits
    assert np.sqrt(within / between) == pytest.approx(ratio, rel=0.05 + 0.2 * ratio)


@COHORTS
@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 1.0])
def test_null_controls_never_move_and_their_share_holds(model, share):
    knobs = model.Knobs(n_patients=200, null_fraction=share)
    assert sum(is_null_control(knobs, p) for p in range(200)) == pytest.approx(200 * share, abs=1)
    rows = model.cohort_rows(knobs)
    true = np.array([r.scores[SCORE[model] + "_true"] for r in rows]).reshape(200, -1)
    null = np.array([r.covariates["null_control"] for r in rows]).reshape(200, -1)
    assert ((np.ptp(true, axis=1) == 0) == (null == 1).all(1)).all()
    measured = np.array([r.scores[SCORE[model]] for r in rows]).reshape(200, -1)
    moves = np.ptp(measured[null[:, 0] == 1], axis=1) > 0
    assert share == 0 or moves.mean() > LEAST_NOISY[model]


@COHORTS
def test_a_measured_score_is_the_true_one_without_noise(model):
    rows = model.cohort_rows(model.Knobs(n_patients=5, label_noise=0))
    assert all(r.scores[SCORE[model]] == r.scores[SCORE[model] + "_true"] for r in rows)


@pytest.mark.parametrize(("model", "low", "high"), [(lus, 100, 470), (mri, 0, 30)])
def test_score_is_higher_when_better_in_range_and_saturates_at_the_healthy_end(model, low, high):
    scores = model.score_of(np.linspace(-4, 4, 81))
    assert (np.diff(scores) < 0).all()
    assert low < scores.min()
    assert scores.max() < high
    healthy, sick = -np.diff(model.score_of(np.array([-3.0, -2.5]))), -np.diff(model.score_of(np.array([0.0, 0.5])))
    assert healthy < 0.2 * sick


@COHORTS
@pytest.mark.parametrize("visits", [1, 2, 7])
def test_any_number_of_visits_has_a_course(model, visits):
    days, latent = model.trajectory(model.Knobs(visits=visits), 0)
    assert days.shape == latent.shape == (visits,)
    assert days[0] == 0
    assert (np.diff(days) > 0).all()
    assert np.isfinite(latent).all()


@COHORTS
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("n_patients", 0, "n_patients is 0, but it must be a whole number of at least 1; set --n_patients"),
        ("visits", 2.5, "visits is 2.5, but it must be a whole number of at least 1; set --visits"),
        ("size", 8, "size is 8, but it must be a whole number of at least 16; set --size"),
        ("variance_ratio", -0.1, "variance_ratio is -0.1, but it must be a number of at least 0; set --variance_ratio"),
        ("identity", float("nan"), "identity is nan"),
        ("label_noise", float("inf"), "label_noise is inf"),
        ("identity", 50.0, "identity is 50.0, but it must be a number from 0 to 10"),
        ("null_fraction", 1.5, "null_fraction is 1.5, but it must be a number from 0 to 1"),
        ("seed", -1, "seed is -1"),
    ],
)
def test_a_knob_out_of_range_is_named_in_a_sentence(model, field, value, words):
    with pytest.raises(InputError) as caught:
        model.Knobs(**{field: value})
    assert f"{model.Knobs.DATASET}: {words}" in str(caught.value)


@pytest.mark.parametrize(
    ("package", "knobs"), [(synthetic_lus, "clips_per_view=2, frames=2"), (synthetic_mri, "sites=2")]
)
def test_same_pixels_in_another_process_and_order(package, knobs):
    """Of all scans in the table's order, whatever the order in which they are rendered."""

    def digest(order: int) -> str:
        code = (
            f"import hashlib; from {package.__name__}.simulate import Knobs, cohort_rows, render\n"
            f"knobs = Knobs(n_patients=2, visits=2, size=24, {knobs})\n"
            f"scans = [render(row, knobs).tobytes() for row in cohort_rows(knobs)[::{order}]][::{order}]\n"
            "print(len(set(scans)), hashlib.sha256(b''.join(scans)).hexdigest())"
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    forward = digest(1)
    assert forward == digest(-1)
    assert int(forward.split()[0]) >= 4  # different scans
