"""A dry run says what the step needs, in figures that can be checked, and leaves nothing behind."""

import re
import subprocess
import sys

import jax
import pytest

from learner_jax.assembly import assemble
from learner_jax.dry_run import dry_run, needs
from learner_jax.report import speed
from tests.command import ROOT
from tfds_builders.errors import InputError


def number(lines, word):
    (line,) = [line for line in lines if line.startswith(word)]
    return float(re.search(r"[\d,.]+", line.removeprefix(word))[0].replace(",", ""))


def test_its_figures_are_those_of_the_run(make_config, monkeypatch):
    config = make_config()
    config.mesh.fsdp, config.objective.projection = 2, 2048
    parts = assemble(config)
    state = parts.state()
    kind = jax.devices()[0].device_kind
    monkeypatch.setitem(speed.PEAKS, kind, speed.Peak(1e12, 1e11))
    lines = needs(parts)
    assert lines[0].startswith("mesh         replica 1, fsdp 2, data 4; 8 x")
    assert any(re.match(r"cut +\S+ .*/2", line) for line in lines)
    assert number(lines, "parameters") == sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert number(lines, "checkpoint") == pytest.approx(sum(x.nbytes for x in jax.tree.leaves(state)) / 2**20, abs=0.06)
    one_device = sum(shard.data.nbytes for x in jax.tree.leaves(state) for shard in x.addressable_shards[:1]) / 2**20
    assert one_device < number(lines, "memory") < 40 * one_device
    flops = 3 * parts.recipe.backbone.flops(parts.spec) / 1e9
    assert number(lines, "model") == pytest.approx(flops, rel=0.02, abs=0.06)
    assert re.search(r"at least [\d.]+ ms a step, [\d,]+ examples/s", lines[-1])


def test_it_refuses_what_the_run_would_refuse(make_config):
    config = make_config()
    config.batch_size = 12
    with pytest.raises(InputError, match="which 8 devices cannot share evenly"):
        dry_run(config)


@pytest.mark.parametrize(
    ("field", "told"),
    [("init_from", "has no checkpoints of a run"), ("weights", "cannot read the weights .* No such file")],
)
def test_it_refuses_weights_that_are_not_there(make_config, tmp_path, field, told):
    config, nothing = make_config(), str(tmp_path / "nothing.safetensors")
    if field == "weights":
        config.backbone.weights = nothing
    else:
        config.init_from = nothing
    with pytest.raises(InputError, match=told):
        dry_run(config)


def test_scans_kept_on_the_device_count(make_config):
    config = make_config()
    without = needs(assemble(config))
    config.data.cache = "device"
    parts = assemble(config)
    scans = len(parts.cohort.labeled_train) * 4 * 32 * 32 / 2**20
    assert number(needs(parts), "memory") == pytest.approx(number(without, "memory") + scans, abs=0.11)
    assert f", {scans:.1f} training scans" in "\n".join(needs(parts))


def test_the_command_trains_nothing(tiny_dataset, tmp_path):
    flags = {"data.dir": tiny_dataset, "data.frames": 4, "data.size": 32, "batch_size": 16, "eval.batch_size": 16}
    flags |= {"backbone.name": "tsm_resnet18-test", "objective.projection": 8, "steps": 4}
    command = [sys.executable, "-m", "learner_jax.main", "--config=configs/demo.py", f"--workdir={tmp_path / 'run'}"]
    command += [f"--config.{name}={value}" for name, value in flags.items()]
    done = subprocess.run([*command, "--dry_run"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "no peak of 'cpu'" in done.stdout
    assert not (tmp_path / "run").exists()
