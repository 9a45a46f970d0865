"""A task file for SkyPilot, which finds a cloud machine, runs the sweep on it and replaces it if it is lost."""

import json
from pathlib import Path


def task_file(file: str, out: Path, data: Path) -> str:
    """YAML of a task for ``sky jobs launch FILE``.

    The folder of the runs is a mounted bucket, so a sweep that has lost its machine continues on the next one; the user
    may change the bucket's name. Strings are written as JSON, which is valid YAML.

    Args:
      file: the sweep file.
      out, data: folders of runs and datasets, relative to the checkout.
    """
    quoted = json.dumps
    return f"""\
# {file} on one machine of a cloud: sky jobs launch sweep.yaml
# https://docs.skypilot.co/en/latest/reference/yaml-spec.html
name: {quoted(Path(file).stem.replace("_", "-"))}
workdir: .
resources:
  accelerators: "H100:8"  # a run for each
  use_spot: true
  job_recovery: failover
file_mounts:
  {quoted(f"~/sky_workdir/{out}")}:
    name: "learner-jax-sweep"  # a bucket of yours
    mode: MOUNT
setup: |
  make .venv
  .venv/bin/pip install --quiet -r requirements-gpu.txt
run: |
  .venv/bin/python -m learner_jax.sweep run {file} --out {out} --data {data}
"""
