"""Jobs through submitit, which runs them as processes here: the same calls as on a cluster, less sbatch."""

import sys

import pytest

submitit = pytest.importorskip("submitit")

from learner_jax.sweep.slurm import Slurm  # noqa: E402
from learner_jax.sweep.task import Task  # noqa: E402
from tfds_builders.errors import InputError  # noqa: E402

FAILS = "print('error: no such thing'); raise SystemExit(2)"
# preempted the first time, done the second
AGAIN = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); n = p.exists(); p.touch(); sys.exit(0 if n else 143)"


def test_what_fails_is_told_and_stops_no_other_and_what_is_preempted_goes_on(tmp_path):
    commands = {"fails": [FAILS], "works": ["print('hello')"], "again": [AGAIN, str(tmp_path / "seen")]}
    tasks = [Task(name, [sys.executable, "-c", *code], tmp_path / f"{name}.log") for name, code in commands.items()]
    said = []
    outcomes = Slurm(tmp_path / "jobs", cluster="local", hours=0.1, say=said.append)(tasks)
    assert [one.code for one in outcomes] == [2, 0, 0]
    assert outcomes[0].why == "error: no such thing"
    assert tasks[1].log.read_text() == "hello\n"
    assert said[0].startswith("3 jobs submitted")


def test_without_a_cluster_it_says_so(tmp_path):
    with pytest.raises(InputError, match="no sbatch is here"):
        Slurm(tmp_path)
