"""The shell scripts: what shellcheck says of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.stand_ins import ROOT

SCRIPTS = (
    *("launch/gpu_host.sh", "launch/slurm.sbatch"),
    *("tests/installed/smoke.sh", "tests/installed/wheel.sh", ".ci/run"),
)
_SHELLCHECK = Path(sys.executable).with_name("shellcheck")


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script):
    done = subprocess.run([_SHELLCHECK, "--shell=bash", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
