"""How the processes of a run end together: each shows that it lives, and learns when another one does not.

They watch each other through JAX's coordination service, whose own answer to a dead process is an abort.
"""

import os
import sys
import threading
import time
import traceback
from typing import NoReturn

import jax
from jax._src import distributed as service  # see learner_jax/distributed.py

from learner_jax.distributed import alone
from learner_jax.preemption import Preempted
from learner_jax.roll_call import Unreachable
from tfds_builders.errors import sentence

_LEAVING = 10  # seconds that the first process waits for the others to leave
_YIELDING = 5  # seconds in which a process may find by itself what made another one end
_ENDED, _REFUSED = "ended", "refused"


class Pulse:
    """While entered, shows that this process lives, and ends it when another one no longer does.

    A collective with a dead peer waits forever or, at the heartbeat of JAX's service, ends in an abort with the stacks
    of all threads (30 s and 200 lines, jax 0.10.2). A sentence says more.

    Args:
      silence: seconds without a sign until a process counts as dead.
    """

    def __init__(self, silence: float = 30.0):
        self._silence, self._over = silence, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        if not alone():
            self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self._thread.is_alive():
            self._over.set()
            self._thread.join()
            if kind is None or issubclass(kind, Preempted):  # else the silence must tell the others to end
                mine = _pulse_of(service.global_state.process_id)
                service.global_state.client.key_value_set(mine, _ENDED, allow_overwrite=True)

    def _watch(self) -> None:
        client, me, beats = service.global_state.client, service.global_state.process_id, 0
        others = [process for process in range(service.global_state.num_processes) if process != me]
        heard = {process: ("", time.monotonic()) for process in others}
        while not self._over.wait(1.0):
            beats += 1
            try:
                client.key_value_set(_pulse_of(me), str(beats), allow_overwrite=True)
                signs = dict(client.key_value_dir_get("learner_jax/pulse/"))
            except jax.errors.JaxRuntimeError as fault:
                _end(f"process 0, which coordinates the run, cannot be reached any more ({str(fault).splitlines()[0]})")
            now = time.monotonic()
            for process in others:
                sign = signs.get(_pulse_of(process), "")
                before, since = heard[process]
                if sign != before or sign == _ENDED:
                    heard[process] = (sign, now)
                elif sign == _REFUSED and now - since > _YIELDING:
                    print(f"process {me} ends, since process {process} does", file=sys.stderr, flush=True)
                    leave(2)
                elif now - since > self._silence:
                    _end(f"process {process} has given no sign for {self._silence:.0f} s and counts as dead")


def leave(code: int) -> NoReturn:
    """End this process at once. The first process goes last: without its service JAX aborts the others."""
    if not alone():
        client, me = service.global_state.client, service.global_state.process_id
        if code == 2:
            client.key_value_set(_pulse_of(me), _REFUSED, allow_overwrite=True)
        client.key_value_set(f"learner_jax/left/{me}", "")
        deadline = time.monotonic() + _LEAVING
        while me == 0 and time.monotonic() < deadline:
            if len(client.key_value_dir_get("learner_jax/left/")) == service.global_state.num_processes:
                time.sleep(0.5)  # a process says that it leaves a moment before it does
                break
            time.sleep(0.05)
    os._exit(code)


def fail(fault: Exception) -> NoReturn:
    """Say what is wrong and end at once, as other processes may hang: exit code 2 for the user's input, else 1."""
    if words := sentence(fault):  # usually all processes fail alike, as they read the same input
        me = service.global_state.process_id
        print(f"process {me}: {words}" if me else f"error: {words}", file=sys.stderr, flush=True)
        leave(2)
    if isinstance(fault, Unreachable):
        _end(str(fault))
    traceback.print_exception(fault)
    _end(type(fault).__name__)


def _pulse_of(process: int) -> str:
    return f"learner_jax/pulse/{process}"


def _end(why: str) -> NoReturn:
    me = service.global_state.process_id
    print(f"process {me} ends: {why}. The same command goes on from the newest checkpoint", file=sys.stderr, flush=True)
    os._exit(1)  # a hanging collective cannot be interrupted, and jax.distributed.shutdown waits for the dead
