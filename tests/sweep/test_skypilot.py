"""The task file for SkyPilot: what it must hold, by SkyPilot's documentation of its YAML."""

import yaml

from learner_jax.sweep.__main__ import main

KNOWN = {"name", "workdir", "resources", "file_mounts", "setup", "run", "envs", "num_nodes", "config", "service"}


def test_it_is_a_task_that_runs_the_sweep(capsys):
    assert main(["skypilot", "configs/sweeps/demo.py", "--out", "runs/sweep"]) == 0
    task = yaml.safe_load(capsys.readouterr().out)
    assert set(task) <= KNOWN
    assert "python -m learner_jax.sweep run configs/sweeps/demo.py --out runs/sweep --data data" in task["run"]
    assert task["file_mounts"] == {"~/sky_workdir/runs/sweep": {"name": "learner-jax-sweep", "mode": "MOUNT"}}
    assert task["resources"]["use_spot"] is True
