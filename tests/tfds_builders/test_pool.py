import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfds_builders.errors import InputError
from tfds_builders.pool import cores, ordered_map
from tfds_builders.readers import apart
from tfds_builders.readers.api import TooLarge, UnreadableScan
from tfds_builders.readers.limits import Limits


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_and_few_are_held(processes):
    taken = []

    def items():
        for i in range(40):
            taken.append(i)
            yield -i

    results = ordered_map(abs, items(), processes)
    assert next(results) == 0
    assert len(taken) <= 4 * processes
    assert list(results) == list(range(1, 40))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_reaches_the_caller(processes):
    results = ordered_map(int, ["1", "x", "3"], processes)
    assert next(results) == 1
    with pytest.raises(ValueError, match="'x'"):
        next(results)


def test_a_process_that_is_killed_is_a_sentence():
    with pytest.raises(InputError, match=r"was killed, perhaps because memory ran out; .* --processes 2"):
        list(ordered_map(os._exit, [1, 1], 2))


def test_cores_are_counted():
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_no_process_outlives_a_parent_that_was_killed(tmp_path):
    script = (
        "import time\n"
        "from tfds_builders.pool import ordered_map\n"
        "if __name__ == '__main__':\n"
        "    results = ordered_map(len, ['a'] * 100, 2)\n"
        "    next(results)\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, env=PATHS)
    parent.stdout.readline()
    children = [
        int(pid)
        for pid in os.listdir("/proc")
        if pid.isdecimal() and f"PPid:\t{parent.pid}\n" in _status(pid) and b"spawn_main" in _command(pid)
    ]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not any(b"spawn_main" in _command(pid) for pid in children):
            return
        time.sleep(0.1)
    pytest.fail(f"{children} are still there")


PATHS = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def _status(pid: int | str) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


def _command(pid: int | str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_what_breaks_or_hangs_its_process_is_named_and_the_next_call_goes_on(tmp_path):
    limits = Limits(seconds=20.0)
    assert apart.call("a.dcm", limits, len, "four") == 4
    with pytest.raises(UnreadableScan, match=r"a\.dcm is damaged: its decoder breaks down on it"):
        apart.call("a.dcm", limits, os.abort)
    with pytest.raises(TooLarge, match=r"b\.dcm takes more than 0\.5 s to decode"):
        apart.call("b.dcm", Limits(seconds=0.5), time.sleep, 30)
    with pytest.raises(ValueError, match="'x'"):  # what the function itself raises
        apart.call("c.dcm", limits, int, "x")
    assert apart.call("d.dcm", limits, len, "four") == 4
