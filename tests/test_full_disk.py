"""A full disk ends a run with a sentence, keeps the last whole checkpoint, and no longer than that."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.command import FLAGS, ROOT

# A file system of its own, which nobody else sees and which is gone with the last process.
SCRIPT = """
set -u
mkdir -p "$1/disk" && mount -t tmpfs -o size=1200k tmpfs "$1/disk" || exit 77
out="$1"; shift
"$@" --workdir="$out/disk/run" >"$out/first" 2>&1; echo "code $?"
ls "$out/disk/run/checkpoints"
mount -o remount,size=60m "$out/disk"
"$@" --workdir="$out/disk/run" >"$out/second" 2>&1; echo "code $?"
ls "$out/disk/run/checkpoints"
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux' unshare")
def test_it_ends_with_a_sentence_and_goes_on_once_there_is_room(tiny_dataset, tmp_path):
    flags = FLAGS | {"config.data.dir": tiny_dataset, "config.steps": 16, "config.checkpoint.every": 2}
    flags |= {"config.checkpoint.keep": 50, "config.trackers": "tensorboard"}
    train = [sys.executable, "-m", "learner_jax.main", "--config=configs/demo.py"]
    train += [f"--{name}={value}" for name, value in flags.items()]
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh", str(tmp_path), *train]
    one = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=one)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system may be mounted here")
    first, second = (part.split() for part in done.stdout.split("code ")[1:])
    assert first[0] == "2", (tmp_path / "first").read_text()
    said = (tmp_path / "first").read_text()
    assert "error: no space is left on the disk" in said
    assert "Traceback" not in said
    whole = {int(name) for name in first[1:] if name.isdigit()}
    assert whole
    assert max(whole) < 16
    assert second[0] == "0", (tmp_path / "second").read_text()
    assert whole | {16} <= {int(name) for name in second[1:]}
