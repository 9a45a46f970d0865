"""The demo trains with every kind of backbone by its name alone, on one device, as on the machine of a first user."""

import json
import math
import os
import subprocess
import sys

import pytest

from learner_jax.report.writer import read_metrics
from tests.backbones.zoo import TINY
from tests.command import ROOT
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
    flags = {"backbone.name": name, "data.dir": demo_dataset, "steps": 2, "eval.bootstrap": 20}
    command = [sys.executable, "-m", "learner_jax.main", "--config", "configs/demo.py", "--workdir", str(tmp_path)]
    command += [f"--config.{field}={value}" for field, value in flags.items()]
    one = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    done = subprocess.run(command, cwd=ROOT, env=one, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines[-1]["step"] == 2
    assert all(line["skipped"] == 0 and math.isfinite(line["loss"]) for line in lines)
    rows = json.loads((tmp_path / "eval" / "2" / "scores.json").read_text())["rows"]
    assert 0 <= {row["name"]: row["value"] for row in rows}["pairwise_accuracy"] <= 1
