"""One trainer in a workdir: a second one is refused, and a dead one holds nothing."""

import errno
import os
import subprocess
import sys

import pytest

from learner_jax import lock
from learner_jax.lock import only_trainer
from tfds_builders.errors import InputError

HOLD = "import sys, time; from pathlib import Path; from learner_jax.lock import only_trainer\n" + (
    "with only_trainer(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_a_second_trainer_is_refused_until_the_first_is_dead(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    refused = pytest.raises(InputError, match=rf"another trainer works in .*run \(process {holder.pid} on .*--workdir")
    with refused, only_trainer(tmp_path / "run"):
        pass
    holder.kill()
    holder.communicate()
    with only_trainer(tmp_path / "run"):
        pass
    with only_trainer(tmp_path / "run"):
        pass


@pytest.mark.parametrize("place", ["file", "file/run", "link"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing" / "there")
    refused = pytest.raises(InputError, match=rf"{tmp_path / place} cannot be written .*; see --workdir")
    with refused, only_trainer(tmp_path / place):
        pass


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def lacks(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))  # as on Lustre, mounted without flock

    monkeypatch.setattr(lock.fcntl, "flock", lacks)
    refused = pytest.raises(InputError, match=r"run lies on a file system without locks \(flock: Function not impl")
    with refused, only_trainer(tmp_path / "run"):
        pass


def test_another_workdir_is_free(tmp_path):
    with only_trainer(tmp_path / "a"), only_trainer(tmp_path / "b"):
        pass
