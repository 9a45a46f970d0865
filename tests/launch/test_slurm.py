"""The batch script for SLURM: what each code of the trainer leads to, and what it does before its time is up.

On a real SLURM (22.05, one node, two tasks) it was run by hand: docs/scale.md says what was seen.
"""

import os
import signal

import pytest

from tests.launch.stand_ins import ROOT, Script

SCRIPT = "launch/slurm.sbatch"
LIFE = "srun --kill-on-bad-exit=0 --wait=120 --cpus-per-task=7 python3 -m learner_jax.main --config a config.py"
REQUEUED = "scontrol requeue 42"


@pytest.fixture
def start(tmp_path):
    about = {"PYTHON": "python3", "SLURM_JOB_ID": 42, "SLURM_CPUS_PER_TASK": 7}

    def start(*codes, **environment):
        return Script(SCRIPT, tmp_path, "srun", codes, ("scontrol", "scancel"), **(about | environment))

    return start


@pytest.mark.parametrize(
    ("codes", "ends_with", "notes"),
    [
        ((0,), 0, [LIFE]),
        ((2, 0), 2, [LIFE]),
        ((143, 0), 143, [LIFE, REQUEUED]),  # SLURM starts the script again
        ((1, 1, 1, 0), 1, [LIFE] * 3),
        ((137, 0), 0, [LIFE] * 2),
        ((1, 143), 143, [LIFE, LIFE, REQUEUED]),
    ],
)
def test_what_a_code_leads_to(start, codes, ends_with, notes):
    assert start(*codes).end()[:2] == (ends_with, notes)


def test_before_its_time_is_up_the_tasks_get_sigterm_and_the_job_is_requeued(start):
    script = start(0, SECONDS_OF_LIFE=30)
    task = script.until_it_lives()
    script.tell(signal.SIGUSR1)
    while "scancel" not in script.notes.read_text():
        pass
    os.kill(task, signal.SIGTERM)  # as SLURM would at this scancel
    assert script.end()[:2] == (143, [LIFE, "scancel --signal=TERM 42", "srun got SIGTERM", REQUEUED])


def test_tasks_that_do_not_stop_in_time_do_not_cost_the_job(start):
    script = start(0, SECONDS_OF_LIFE=30, LAST=0.1)
    task = script.until_it_lives()
    script.tell(signal.SIGUSR1)
    while REQUEUED not in script.notes.read_text():
        assert script.process.poll() is None
    script.process.kill()  # as SLURM ends what it requeues
    os.kill(task, signal.SIGTERM)
    assert script.end()[1] == [LIFE, "scancel --signal=TERM 42", REQUEUED, "srun got SIGTERM"]


def test_a_job_that_its_user_cancels_does_not_come_back(start):
    script = start(0, SECONDS_OF_LIFE=30)
    task = script.until_it_lives()
    for process in (script.process.pid, task):
        os.kill(process, signal.SIGTERM)
    assert script.end()[:2] == (143, [LIFE, "srun got SIGTERM"])


def test_the_end_of_its_time_in_a_pause_requeues_it(start):
    script = start(1, PAUSE=60)
    while "next try in 60 s" not in script.process.stderr.readline():
        pass
    script.tell(signal.SIGUSR1)
    assert script.end()[:2] == (143, [LIFE, "scancel --signal=TERM 42", REQUEUED])


def test_where_it_cannot_be_requeued_it_says_so(start):
    code, _, said = start(143, CODE=1).end()
    assert code == 143
    assert "not requeued; submit the same command again" in said


def test_as_many_tasks_as_gpus_and_word_before_the_end():
    lines = (ROOT / SCRIPT).read_text().splitlines()
    asked = dict(
        line.removeprefix("#SBATCH --").split("=", 1) for line in lines if line.startswith("#SBATCH") and "=" in line
    )
    assert asked["gpus-per-node"] == asked["ntasks-per-node"]
    assert asked["signal"] == "B:USR1@120"
    assert "#SBATCH --requeue" in lines
