"""A hang leaves the stacks of all threads on stderr; steps that go on leave nothing."""

import subprocess
import sys

RUN = """
import sys, threading, time
from learner_jax.watchdog import Watchdog
def stuck(): time.sleep(1.0)
with Watchdog(0.4) as step_ended:
    for _ in range(8):
        time.sleep(0.1)
        step_ended(1, None, None)
    print("calm", file=sys.stderr, flush=True)
    threading.Thread(target=time.sleep, args=(1.0,), name="reader").start()
    stuck()
time.sleep(0.6)
"""


def test_stacks_are_written_once_no_step_has_ended_for_long():
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    calm, hung = done.stderr.split("calm")
    assert calm == ""
    assert "in stuck" in hung
    assert hung.count("most recent call first") >= 4  # of both threads, twice while it hangs
    assert hung.count("Timeout (") == 2  # and no more after the block
