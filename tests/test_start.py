"""A run that starts from the encoder of another: at its own step 0, and never on patients whom that one has seen."""

import dataclasses
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from learner_jax.assembly import assemble
from learner_jax.checkpoint import Checkpoints
from learner_jax.data import cohort as cohorts
from learner_jax.evaluators import seen
from learner_jax.placement import placed_shapes
from learner_jax.start import initial
from learner_jax.train import train
from tfds_builders import splits
from tfds_builders.errors import InputError


@pytest.fixture(scope="module")
def earlier(make_config, tmp_path_factory):
    """A finished run."""
    workdir = tmp_path_factory.mktemp("earlier")
    train(make_config(), workdir)
    return workdir


def encoder(workdir, step, abstract):
    with Checkpoints(workdir) as checkpoints:
        return jax.device_get(checkpoints.restore_for_scoring(step, abstract)[0])


def starting(config, workdir):
    parts = assemble(config)
    return initial(parts, workdir), placed_shapes(parts.recipe.backbone.shapes(parts.spec), parts.mesh)


def test_it_begins_at_step_0_with_that_encoder_and_goes_on_without_it(earlier, make_config, tmp_path):
    config = make_config()
    config.seed, config.init_from = 1, str(earlier)
    variables, abstract = starting(config, tmp_path)
    trained = encoder(earlier, 4, abstract)
    jax.tree.map(np.testing.assert_array_equal, variables, trained)

    config.init_from = str(shutil.copytree(earlier, tmp_path / "moved"))
    train(config, tmp_path / "run")
    steps = [line.split(",")[0] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert steps == [f'{{"step": {step}' for step in (1, 2, 3, 4)]
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(encoder(tmp_path / "run", 4, abstract)), jax.tree.leaves(trained), strict=True)
    )
    shutil.rmtree(tmp_path / "moved")
    train(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone.weights": "a.safetensors"}, "name weights to start from; leave one of them empty"),
        ({"backbone.norm": "group"}, "trained tsm_resnet18-test with batch norm, and this config asks for .* group"),
        ({"init_from": "/nowhere"}, "config.init_from is /nowhere, which has no checkpoints of a run"),
    ],
)
def test_what_cannot_be_started_from_is_refused(earlier, make_config, tmp_path, change, sentence):
    config = make_config()
    config.init_from = str(earlier)
    for path, value in change.items():
        section, _, name = path.rpartition(".")
        setattr(getattr(config, section) if section else config, name, value)
    with pytest.raises(InputError, match=sentence):
        starting(config, tmp_path)


def test_its_own_workdir_is_refused(earlier, make_config):
    config = make_config()
    config.init_from = str(earlier)
    with pytest.raises(InputError, match="names the workdir itself"):
        starting(config, earlier)


def test_patients_whom_an_earlier_run_has_seen_are_refused_in_test_then_and_later(earlier, make_config, tmp_path):
    config = make_config()
    other = Path(shutil.copytree(config.data.dir, tmp_path / "dataset"))
    assert splits.main([str(other), "--name", "other", "--seed", "9"]) == 0
    config.init_from, config.data.dir, config.data.split = str(earlier), str(other), "other"
    with pytest.raises(InputError, match="test patients were seen in training"):
        starting(config, tmp_path)

    seen.write(workdir := tmp_path, own := cohorts.load(make_config().data), str(earlier), goes_on=False)
    assert seen.refuse_seen(workdir, own).fingerprint == own.split.fingerprint
    shutil.copyfile(other / "splits/other.json", workdir / "split.json")  # a run on the other split, from the earlier
    with pytest.raises(InputError, match="test patients were seen in training"):
        seen.refuse_seen(workdir, dataclasses.replace(cohorts.load(config.data)))


def test_a_start_that_came_to_no_checkpoint_leaves_no_word_of_whom_the_run_has_seen(earlier, make_config, tmp_path):
    cohort = cohorts.load(make_config().data)
    seen.write(tmp_path, cohort, "", goes_on=False)  # killed; then the same workdir, now from an earlier run
    seen.write(tmp_path, cohort, str(earlier), goes_on=False)
    assert (tmp_path / "split.earlier1.json").read_text() == (earlier / "split.json").read_text()
    seen.write(tmp_path, cohort, "/gone", goes_on=True)
    assert (tmp_path / "split.earlier1.json").exists()
    seen.write(tmp_path, cohort, "", goes_on=False)
    assert not list(tmp_path.glob("split.earlier*"))
