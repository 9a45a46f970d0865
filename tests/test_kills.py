"""SIGKILL at random moments of saving: the newest committed checkpoint is there and is what was saved."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from learner_jax.checkpoint import Checkpoints
from tests.saving import state

KILLS = int(os.environ.get("LEARNER_KILLS", "3"))  # 50 in `make torture`


def test_sigkill_while_saving_leaves_the_newest_committed_checkpoint_whole(tmp_path):
    rng, newest, cut_off = np.random.default_rng(0), 0, 0
    abstract = jax.eval_shape(lambda: state(0))
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.saving", str(tmp_path)]
        saver = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
        assert saver.stdout.readline() == f"{newest + 1}\n"  # it goes on behind the newest one
        time.sleep(rng.uniform(0, 1))
        saver.kill()
        saver.communicate()
        cut_off += any(tmp_path.glob("checkpoints/*tmp*"))
        with Checkpoints(tmp_path) as checkpoints:
            found = checkpoints.newest()
            if found is not None:
                assert found >= newest
                jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(found, abstract), state(found))
        newest = found or 0
    assert newest > 0
    assert not (tmp_path / "damaged").exists()  # nothing that has its name was ever not whole
    print(f"{KILLS} kills, {cut_off} of them within a save, newest {newest}")
