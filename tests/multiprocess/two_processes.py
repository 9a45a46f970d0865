"""One of two processes on loopback where the second one misbehaves (see test_waiting.py): PROCESS PORT WHAT."""

import os
import signal
import sys
import time

import jax

from learner_jax import distributed
from learner_jax.pulse import Pulse, fail


def main(process: int, port: int, what: str) -> None:
    distributed.start(f"127.0.0.1:{port}", 2, process)
    distributed.WAIT = 2
    jax.devices()  # at this JAX itself waits for all
    if process == 1:
        if what == "freezes":
            with Pulse():
                time.sleep(2)
                os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)
    if what == "does not come":
        try:
            distributed.meet("the door")
        except distributed.Unreachable as fault:
            fail(fault)
    with Pulse(silence=3):
        time.sleep(60)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
