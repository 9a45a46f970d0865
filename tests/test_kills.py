"""SIGKILL at random moments: what is committed stays whole, and the run ends where an undisturbed one does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from learner_jax.checkpoint import Checkpoints
from learner_jax.report.writer import read_metrics
from tests.command import Run, committed
from tests.contents import digests
from tests.saving import state

KILLS = int(os.environ.get("LEARNER_KILLS", "3"))  # `make torture` has more


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


@pytest.mark.slow  # the short form is in test_train.py
def test_sigkill_while_training_changes_nothing(tiny_dataset, tmp_path):
    rng, lives, steps = np.random.default_rng(1), [], 2000

    def start(name):
        about = {"config__steps": steps, "config__checkpoint__every": 10}
        return Run(1, tmp_path / name, tiny_dataset, tmp_path, devices=1, **about)

    calm = start("calm")
    assert calm.wait(1200) == [0], calm.said(0)
    for _ in range(KILLS):
        run, before = start("killed"), max(committed(tmp_path / "killed"), default=0)
        run.until(lambda run=run, before=before: max(committed(run.workdir), default=0) > before)
        time.sleep(rng.uniform(0, 0.5))
        run.kill()
        lives.append(max(committed(run.workdir)))
    assert lives[-1] < steps, "all kills came while it ran"
    last = start("killed")
    assert last.wait(1200) == [0], last.said(0)
    assert digests(last.workdir, steps) == digests(calm.workdir, steps)
    trails = [[line["trail"] for line in read_metrics(run.workdir / "metrics.jsonl")] for run in (calm, last)]
    assert trails[0] == trails[1]
    assert len(trails[0]) == steps
    print(f"{KILLS} kills, committed after each: {lives}")
