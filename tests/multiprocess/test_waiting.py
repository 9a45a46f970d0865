"""Waiting for another process ends, and says for whom."""

import subprocess
import sys
import time

import pytest

from tests.command import ROOT, free_port

pytestmark = pytest.mark.multiprocess


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("does not come", "process 0 waited 2 s at 'the door' for process 1"),
        ("freezes", "process 0 ends: process 1 has given no sign for 3 s and counts as dead"),
    ],
)
def test_a_process_that_is_waited_for_is_named(what, told):
    port = free_port()
    command = [sys.executable, "-m", "tests.multiprocess.two_processes"]
    first, second = (
        subprocess.Popen([*command, process, str(port), what], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for process in "01"
    )
    started = time.monotonic()
    try:
        said = first.communicate(timeout=50)[1]
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert first.returncode == 1
    assert told in said
    assert time.monotonic() - started < 45


COMES = """
import sys
from learner_jax import distributed

distributed.WAIT = 2
try:
    distributed.start(sys.argv[1], int(sys.argv[3]), int(sys.argv[2]))
except distributed.Unreachable as fault:
    sys.exit(str(fault))
"""


@pytest.mark.parametrize(
    ("n", "come", "told"),
    [
        (2, [0], ["process 0 waited 2 s for process 1 of 2."]),
        (2, [1], ["process 1 waited 2 s for process 0, which does not answer at 127.0.0.1:"]),
        (4, [2, 0], ["process 2 waited 2 s for process 1, 3 of 4.", "process 0 waited 2 s for process 1, 3 of 4."]),
    ],
)
def test_who_meets_nobody_says_whom_it_waited_for(n, come, told):
    """JAX would abort."""
    address = f"127.0.0.1:{free_port()}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", COMES, address, str(process), str(n)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for process in come
    ]
    for process, sentence in zip(started, told, strict=True):
        said = process.communicate(timeout=50)[1]
        assert process.returncode == 1, said
        assert sentence in said
        assert "Start all processes of the run with the same address" in said
