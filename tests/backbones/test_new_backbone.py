"""A new backbone is one file, one line of the registry and one row of the tests, and the trainer takes it by name."""

import importlib.util
import json

import pytest

from learner_jax import backbones
from learner_jax.backbones.api import backbones as registry
from learner_jax.fields import override
from learner_jax.train import train
from tests.backbones import test_zoo as checks
from tests.backbones.zoo import ROWS, Row
from tfds_builders.errors import InputError

FILE = '''
"""Means over the patches of a scan, seen by one convolution."""

from flax import nnx

from learner_jax.backbones.api import Backbone, Takes, backbones
from learner_jax.backbones.layers.conv import Conv
from learner_jax.backbones.layers.norm import NORMS


class Patches(nnx.Module):
    def __init__(self, shape, rngs, norm):
        self.conv = Conv(shape[-1], 6, (2, 4, 4), rngs, stride=(2, 4, 4), padding=(0, 0, 0))
        self.norm = NORMS[norm](6, rngs)

    def __call__(self, scan, mask, *, train, rngs):
        return nnx.relu(self.norm(self.conv(scan), mask, train)).mean((1, 2, 3))


@backbones.register("patches")
def patches(norm):
    build = lambda shape, rngs: Patches(shape, rngs, norm)
    return Backbone("patches", build, dim=6, takes=Takes(least=(2, 16, 16), multiple=(2, 4, 4)))
'''
ROW = Row((4, 32, 32, 1), parameters=2 * 4 * 4 * 6 + 2 * 6, gflops=2 * (2 * 8 * 8) * 32 * 6 / 1e9)
DOCS = "| `patches` | 4x32x32x1 | 6 | 204 | 0.0 |\n"
TREE = "params/conv/kernel 2 4 4 1 6\nparams/norm/bias 6\nparams/norm/scale 6\nstats/norm/mean 6\nstats/norm/var 6\n"


@pytest.fixture
def new(tmp_path, monkeypatch):
    """The file is there and imported, with its row; afterwards nobody knows of it."""
    monkeypatch.setattr(registry, "_things", dict(registry._things))
    monkeypatch.setitem(ROWS, "patches", ROW)
    monkeypatch.setattr(checks, "GOLDEN", tmp_path)
    monkeypatch.setattr(checks, "DOCS", tmp_path / "backbones.md")
    (tmp_path / "backbones.md").write_text(DOCS)
    (tmp_path / "patches.txt").write_text(TREE)
    (tmp_path / "patches.py").write_text(FILE)
    spec = importlib.util.spec_from_file_location("patches", tmp_path / "patches.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return "patches"


def test_what_is_checked_of_every_backbone_is_checked_of_it(new):
    assert new in backbones.list_backbones()
    checks.test_every_backbone_embeds_the_scan_it_is_made_for(new)
    checks.test_the_smallest_scan_that_is_said_to_fit_does_also_in_other_colours_and_with_group_norm(new)
    checks.test_parameters_are_as_many_as_published(new)
    checks.test_operations_are_those_published(new)
    checks.test_names_and_shapes_of_parameters_do_not_move(new)
    checks.test_the_docs_say_how_large_it_is(new)
    checks.test_a_scan_that_is_too_small_is_refused_with_what_fits(new)


def test_it_is_trained_by_its_name_and_refused_with_a_scan_of_another_shape(new, make_config, tmp_path):
    config = make_config()
    override(config, f"--config.backbone.name={new}")
    config.steps = 2
    train(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["skipped"]) for line in lines] == [(1, 0), (2, 0)]
    assert (tmp_path / "run" / "eval" / "2" / "scores.json").is_file()
    config.data.frames = 3
    with pytest.raises(InputError, match="patches takes at least 2 frames of 16x16, in multiples of 2 frames and 4x4"):
        train(config, tmp_path / "refused")


def test_without_blocks_it_has_one_learning_rate(new, make_config, tmp_path):
    config = make_config()
    config.backbone.name, config.optim.layer_decay = new, 0.7
    with pytest.raises(InputError, match=r"the backbone has no blocks .*Set --config.optim.layer_decay=1"):
        train(config, tmp_path / "run")


def test_nobody_else_knows_of_it():
    assert "patches" not in registry.list()
    with pytest.raises(InputError, match="no backbone is called 'patches'"):
        backbones.create("patches")
