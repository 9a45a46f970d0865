"""The loop on a GPU host: what each exit code of the trainer leads to, and where signals go."""

import os
import signal
import subprocess
import sys
import time

import pytest

from learner_jax.report.writer import read_metrics
from tests.command import FLAGS, committed
from tests.launch.stand_ins import ROOT, Script

SCRIPT = "launch/gpu_host.sh"
LIFE = "trainer -m learner_jax.main --config a config.py"  # the arguments arrive as they were given


@pytest.fixture
def start(tmp_path):
    def start(*codes, **environment):
        return Script(SCRIPT, tmp_path, "trainer", codes, PYTHON=tmp_path / "trainer", **environment)

    return start


@pytest.mark.parametrize(
    ("codes", "ends_with", "lives"),
    [
        ((0,), 0, 1),
        ((2, 0), 2, 1),
        ((143, 143, 143, 143, 0), 0, 5),  # however often
        ((1, 1, 1, 0), 1, 3),
        ((137, 134, 0), 0, 3),  # killed for memory, aborted
        ((1, 1, 143, 1, 1, 0), 0, 6),  # not in a row
    ],
)
def test_what_a_code_leads_to(start, codes, ends_with, lives):
    code, notes, said = start(*codes, TRIES=3).end()
    assert (code, notes) == (ends_with, [LIFE] * lives)
    assert ("failure 3 of 3 in a row" in said) == (ends_with == 1)


@pytest.mark.parametrize("what", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_trainer_as_sigterm_and_ends_both(start, what):
    script = start(0, SECONDS_OF_LIFE=30)
    script.until_it_lives()
    script.tell(what)
    assert script.end()[:2] == (143, [LIFE, "trainer got SIGTERM"])


def test_a_trainer_that_is_stopped_alone_comes_back(start):
    script = start(0, 0, SECONDS_OF_LIFE=2)
    os.kill(script.until_it_lives(), signal.SIGTERM)
    assert script.end()[:2] == (0, [LIFE, "trainer got SIGTERM", LIFE])


def test_a_signal_in_the_pause_ends_it(start):
    script = start(1, PAUSE=60)
    while "next try in 60 s" not in script.process.stderr.readline():
        pass
    script.tell(signal.SIGTERM)
    assert script.end()[:2] == (143, [LIFE])


@pytest.mark.multiprocess
def test_the_real_trainer_preempted_and_brought_to_its_end(tiny_dataset, tmp_path):
    given = FLAGS | {"config.data.dir": tiny_dataset, "config.steps": 60, "workdir": tmp_path / "run"}
    command = [ROOT / SCRIPT, "--config=configs/demo.py", *(f"--{name}={value}" for name, value in given.items())]
    alone = {"PYTHON": sys.executable, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    process = subprocess.Popen(command, env=os.environ | alone, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not committed(tmp_path / "run"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int((tmp_path / "run" / "lock").read_text().split()[1]), signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    assert said.count(b"gpu_host.sh: preempted") == 1, said[-3000:]
    assert [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")] == list(range(1, 61))
