"""The demo trains with every kind of backbone by its name alone."""

import json
import math

import pytest

from configs.demo import get_config
from learner_jax.fields import override
from learner_jax.report.writer import read_metrics
from learner_jax.train import train
from tests.backbones.zoo import TINY
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
    config = get_config()
    override(config, f"--config.backbone.name={name}")
    config.data.dir, config.steps, config.eval.bootstrap = str(demo_dataset), 2, 20
    train(config, tmp_path)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines[-1]["step"] == 2
    assert all(line["skipped"] == 0 and math.isfinite(line["loss"]) for line in lines)
    rows = json.loads((tmp_path / "eval" / "2" / "scores.json").read_text())["rows"]
    assert 0 <= {row["name"]: row["value"] for row in rows}["pairwise_accuracy"] <= 1
