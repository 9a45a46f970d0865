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
