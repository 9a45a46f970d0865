"""One trained and evaluated run, whose 10 validation patients are enough to calibrate on."""

import shutil
from pathlib import Path

import pytest

from learner_jax.train import train
from tfds_builders.splits.command import main as make_split


@pytest.fixture(scope="session")
def dataset(tiny_dataset, tmp_path_factory) -> Path:
    """The tiny cohort with a split of 9, 10 and 5 patients."""
    folder = Path(shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("predict") / "dataset"))
    assert make_split([str(folder), "--name", "held", "--fractions", "9", "10", "5"]) == 0
    return folder


@pytest.fixture(scope="session")
def trained(dataset, make_config, tmp_path_factory) -> Path:
    """The workdir of a run on :func:`dataset`, evaluated at step 4."""
    config = make_config()
    config.data.dir, config.data.split, config.trackers = str(dataset), "held", ""
    config.optim.average = 0.5  # so that what is scored is not what is trained
    workdir = tmp_path_factory.mktemp("predict") / "run"
    train(config, workdir)
    return workdir
