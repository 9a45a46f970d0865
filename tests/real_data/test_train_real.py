"""Real scans from file to score: build, a few steps of the shipped configs, the evaluator. Smoke tests, no claims."""

import json
from pathlib import Path

import pytest

from configs import brain, ultrasound
from learner_jax.config import Config
from learner_jax.evaluate import evaluate
from learner_jax.report.__main__ import main as report
from learner_jax.train import train
from tests.real_data import cohorts
from tfds_builders import build

pytestmark = pytest.mark.real_data


@pytest.fixture
def run(real_data, tmp_path, identity_key):
    """Build a cohort, train a few steps under a shipped config, score and report; returns the scores."""

    def make(dataset: str, table, config: Config, **fields: object) -> dict:
        csv = table(real_data, tmp_path / "source" / "cohort.csv")
        folder = tmp_path / "dataset"
        scores = ["--scores", fields["score"]]
        assert build.main([dataset, "--cohort", str(csv), "--data_dir", str(folder), *scores]) == 0
        config.data.dir, config.data.score = str(folder), fields["score"]
        config.eval.change_threshold, config.eval.pairs = fields["change_threshold"], fields.get("pairs", "visits")
        config.steps, config.batch_size, config.log_every = 2, 8, 1
        config.checkpoint.every, config.eval.every, config.eval.batch_size, config.eval.bootstrap = 2, 0, 8, 200
        workdir = tmp_path / "run"
        train(config, workdir)
        evaluate(workdir)
        assert report([str(workdir)]) == 0
        assert_private(folder, workdir, csv)
        return json.loads((workdir / "eval/2/scores.json").read_text())

    return make


def assert_private(folder: Path, workdir: Path, csv: Path) -> None:
    """No path and no patient id of the source is under the data or the work folder, but for the run's own config."""
    names = [name.encode() for name in ("patient_14", "Cov-Atlas", "IXI012", "patient01", str(csv.parent))]
    for path in [*folder.rglob("*"), *workdir.rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            assert not [name for name in names if name in content], path


def by_name(scores: dict) -> dict:
    return {row["name"]: row for row in scores["rows"]}


def test_covid_blues_pairs_of_scans(run):
    everyone = tuple(str(i) for i in (1, 14, 15, 17, 30, 32, 33, 39, 40, 42, 47))
    table = lambda root, out: cohorts.blues(root, out, everyone, sites=99)  # noqa: E731
    config = ultrasound.get_config()
    config.data.frames = 4
    scores = run("ultrasound_clips", table, config, score="severity", change_threshold=0.5, pairs="scans")
    assert scores["pairs"] == "scans"
    assert by_name(scores)["pairwise_accuracy"]["n_pairs"] > 5
    assert by_name(scores)["macro_f1"]["value"] is not None


def test_trained_on_covid_blues_scored_on_the_visits_of_the_longitudinal_patient(run):
    config = ultrasound.get_config()
    config.data.frames = 4
    scores = run("ultrasound_clips", cohorts.blues_then_days, config, score="severity", change_threshold=0.5)
    order = by_name(scores)["pairwise_accuracy"]
    assert (order["n_patients"], order["n_pairs"]) == (1, 5)  # 6 pairs of visits, one of equal severity
    assert order["low"] is None, "one patient has no interval"


def test_ixi_then_open_ms_slices_as_frames(run):
    config = brain.get_config()
    config.data.frames = 4
    scores = run("brain_volumes", cohorts.ixi_then_open_ms, config, score="age", change_threshold=1.0)
    assert by_name(scores)["pairwise_accuracy"]["n_patients"] == 2
