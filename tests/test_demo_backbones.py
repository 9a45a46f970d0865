"""The demo trains with every kind of backbone by its name alone, on one device, as on the machine of a first user."""

import json
import math

import pytest

from learner_jax.report.writer import read_metrics
from tests.backbones.zoo import TINY
from tests.command import Run
from tfds_builders import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo_dataset(tmp_path_factory):
    """The demo's cohort in small: 24 patients, seen from one side."""
    folder = tmp_path_factory.mktemp("demo") / "dataset"
    knobs = ["--processes", "1", "--n_patients", "24", "--visits", "3", "--views", "1"]
    assert build.main(["synthetic_lus", "--data_dir", str(folder), *knobs]) == 0
    return folder


@pytest.mark.parametrize("name", TINY)
def test_the_demo_trains_with_a_backbone_by_its_name_alone(name, demo_dataset, tmp_path):
    flags = {
        "config__backbone__name": name,
        "config__data__size": 64,
        "config__steps": 2,
        "config__eval__bootstrap": 20,
    }
    run = Run(1, tmp_path / "run", demo_dataset, tmp_path, devices=1, **flags)
    assert run.wait() == [0], run.said(0)[-3000:]
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert lines[-1]["step"] == 2
    assert all(line["skipped"] == 0 and math.isfinite(line["loss"]) for line in lines)
    rows = json.loads((tmp_path / "run" / "eval" / "2" / "scores.json").read_text())["rows"]
    assert 0 <= {row["name"]: row["value"] for row in rows}["pairwise_accuracy"] <= 1
