"""The processes of one run: how they find each other, agree, and stop together.

They agree through JAX's coordination service and not through their devices, so that waiting ends after a time and says
for whom.
"""

import json
import os
import re
import socket
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

import jax
from jax._src import distributed as service  # JAX has no public name for its client; Orbax and Flax take it here too

from learner_jax.preemption import Preempted
from tfds_builders.errors import InputError, sentence

WAIT = 300  # seconds that processes wait for each other at most: one may still read tables that another has
_LAST = 10  # seconds that the first process waits longer than others, which JAX aborts when it ends
_HEARTBEAT = 100  # seconds of silence after which JAX aborts; Pulse comes first
_LEAVING = 10  # seconds that the first process waits for the others to leave
_CLOSING = 3600  # seconds that the others wait for it at the end of a run: it may still send what it has written
_YIELDING = 5  # seconds that a process has to find by itself what made another one end
_ENDED, _REFUSED = "ended", "refused"
_NO_CLUSTER = "coordinator_address should be defined"
_ONE_OF_SEVERAL = {"OMPI_COMM_WORLD_SIZE": "1", "PMI_SIZE": "1", "JOB_COMPLETION_INDEX": "0"}  # and what one alone has
_REMEDY = "Give --coordinator_address, --num_processes and --process_id"
_asked = 0  # how often the processes have agreed on something, the same on all of them


class Unreachable(Exception):
    """Another process of the run did not come in time."""


def start(coordinator_address: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Join the other processes of the run: those that the flags name, or a cluster does whose signs JAX knows (Cloud
    TPU, SLURM, Open MPI 4, Kubernetes by its package). Without either this process is alone. To be called
    before JAX has devices.

    Args:
      coordinator_address: ``host:port`` of process 0, the same on all.
      num_processes: of the run.
      process_id: of this one, from 0.

    Raises:
      InputError: flags that do not go together, or one of several processes that JAX cannot bring together.
      Unreachable: the others did not come.
    """
    given = (coordinator_address, num_processes, process_id)
    if None in given and given != (None, None, None):
        raise InputError(
            "--coordinator_address, --num_processes and --process_id go together: give all three, or none where a "
            "cluster tells them (Cloud TPU, SLURM)"
        )
    if coordinator_address is not None and not re.fullmatch(r".+:\d+", coordinator_address):
        raise InputError(f"--coordinator_address is {coordinator_address!r}; it is HOST:PORT of process 0")
    if given == (None, None, None) and os.environ.get("SLURM_NTASKS") == "1":
        return  # JAX would give it the first GPU of all that it has
    if None not in given:
        print(f"process {process_id} of {num_processes} meets the others at {coordinator_address}", file=sys.stderr)
    met = threading.Event()
    threading.Thread(target=_give_up_unless, args=(met,), name="first meeting", daemon=True).start()
    try:
        jax.distributed.initialize(
            *given,
            initialization_timeout=WAIT + 6 * _LAST,  # after which JAX aborts, with stacks and without a sentence
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_CLOSING,
        )
    except ValueError as fault:
        if given != (None, None, None):
            raise InputError(f"{fault}; got {', '.join(map(str, given))}") from fault
        if _NO_CLUSTER not in str(fault):  # one that is there and not understood: alone, each process would be a run
            raise
        for name, alone_is in _ONE_OF_SEVERAL.items():
            if os.environ.get(name, alone_is) != alone_is:
                raise InputError(
                    f"{name} is {os.environ[name]}, so this is one of several processes, of whom JAX is told nothing "
                    f"here. {_REMEDY}"
                ) from fault
    except jax.errors.JaxRuntimeError as fault:
        raise Unreachable(f"the processes of the run did not find each other: {fault}") from fault
    except RuntimeError as fault:
        if "mpi4py" not in str(fault):  # which Open MPI 5 needs (jax 0.12)
            raise
        raise InputError(f"{fault}. {_REMEDY}") from fault
    finally:
        met.set()


def _give_up_unless(met: threading.Event) -> None:
    """End with a sentence where JAX would wait on for the others; who has come it does not tell."""
    if met.wait(WAIT):
        return
    me, n, address = (
        getattr(service.global_state, name) for name in ("process_id", "num_processes", "coordinator_address")
    )
    if me == 0 and met.wait(_LAST):
        return
    late = [process for process in range(1, n) if process != me]
    if address is None:
        missing = "the cluster to say who the processes of the run are"
    elif me > 0 and not _answers(address):
        missing = f"process 0, which does not answer at {address}"
    else:
        missing = f"process {late[0]}" if len(late) == 1 else f"one or more of the {len(late)} other processes"
    print(
        f"process {me} waited {WAIT} s for {missing}. Start all processes of the run with the same address, numbered "
        "from 0",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def first() -> bool:
    """Whether this is the process that writes and speaks for all."""
    return jax.process_index() == 0


def agreed(value: Any) -> Any:
    """What the first process has, on all of them; it can be written as JSON.

    Raises:
      Unreachable: the first process did not come in time.
    """
    global _asked
    if alone():
        return value
    _asked += 1
    client, key = service.global_state.client, f"learner_jax/agreed/{_asked}"
    if first():
        client.key_value_set(key, json.dumps(value))
        return value
    try:
        return json.loads(client.blocking_key_value_get(key, WAIT * 1000))
    except jax.errors.JaxRuntimeError as fault:
        raise Unreachable(f"process {jax.process_index()} waited {WAIT} s for process 0: {fault}") from fault


def meet(where: str, seconds: int | None = None) -> None:
    """Wait until every process is here, for ``WAIT`` seconds or as long as told.

    Raises:
      Unreachable: some did not come in time; they are named.
    """
    if alone():
        return
    seconds = WAIT if seconds is None else seconds
    client, me = service.global_state.client, jax.process_index()
    arrived = f"learner_jax/at/{where}/"
    client.key_value_set(f"{arrived}{me}", "")
    try:
        client.wait_at_barrier(f"learner_jax/{where}", seconds * 1000)
    except jax.errors.JaxRuntimeError as fault:
        came = {key.removeprefix(arrived) for key, _ in client.key_value_dir_get(arrived)}
        late = [str(process) for process in range(jax.process_count()) if str(process) not in came]
        missing = f"process {', '.join(late)}" if late else "all"
        raise Unreachable(f"process {me} waited {seconds} s at {where!r} for {missing}: {fault}") from fault


def check_same(about: dict[str, Any]) -> None:
    """Refuse a run whose processes were not told the same, on all of them: what counts as one array would not be one.

    Raises:
      InputError: with each thing in which a process differs from the first.
      Unreachable: some did not come in time.
    """
    if alone():
        return
    mine = json.loads(json.dumps(about))
    firsts = agreed(mine)
    differs = [f"{name} is {mine[name]!r} and not {firsts[name]!r}" for name in mine if mine[name] != firsts[name]]
    client, me = service.global_state.client, jax.process_index()
    client.key_value_set(f"learner_jax/differs/{me}", "; ".join(differs))
    meet("start")
    told = sorted((int(key.rpartition("/")[2]), what) for key, what in client.key_value_dir_get("learner_jax/differs/"))
    if wrong := [f"on process {process} {what}" for process, what in told if what]:
        raise InputError(
            f"the processes of a run must have the same config and data, but {'; '.join(wrong)}, as on process 0. "
            "Start all with the same flags and the same dataset"
        )


def alone() -> bool:
    """Whether this process is the whole run; asked of the service, since JAX's own answer wants devices first."""
    return service.global_state.num_processes == 1


def leave(code: int) -> NoReturn:
    """End at once, on all processes: the first one, without whose service JAX aborts the others, goes last."""
    if not alone():
        client, me = service.global_state.client, service.global_state.process_id
        if code == 2:
            client.key_value_set(_pulse_of(me), _REFUSED, allow_overwrite=True)
        client.key_value_set(f"learner_jax/left/{me}", "")
        deadline = time.monotonic() + _LEAVING
        while me == 0 and time.monotonic() < deadline:
            if len(client.key_value_dir_get("learner_jax/left/")) == service.global_state.num_processes:
                time.sleep(0.5)  # a process is gone a moment after it says so
                break
            time.sleep(0.05)
    os._exit(code)


def fail(fault: Exception) -> NoReturn:
    """Say what is wrong and end, without waiting for processes that may hang: 2 for the user's input, else 1."""
    if told := sentence(fault):  # most often of all processes, which read the same input
        me = service.global_state.process_id
        print(f"process {me}: {told}" if me else f"error: {told}", file=sys.stderr, flush=True)
        leave(2)
    if isinstance(fault, Unreachable):
        _end(str(fault))
    traceback.print_exception(fault)
    _end(type(fault).__name__)


class Pulse:
    """While entered, this process shows that it lives and ends where another one no longer does.

    A collective with a dead peer waits for ever or, at the heartbeat of JAX's service, ends in an abort with the stacks
    of all threads (30 s and 200 lines, jax 0.10.2). A sentence says more.

    Args:
      silence: seconds without a sign after which a process counts as dead.
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
            if kind is None or issubclass(kind, Preempted):  # else the others must learn that this one is no more
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


def _pulse_of(process: int) -> str:
    return f"learner_jax/pulse/{process}"


def _end(why: str) -> NoReturn:
    told = f"process {service.global_state.process_id} ends: {why}. The same command goes on from the newest checkpoint"
    print(told, file=sys.stderr, flush=True)
    os._exit(1)  # a collective that hangs cannot be interrupted, and jax.distributed.shutdown waits for the dead
