"""The processes of one run: how they find each other and agree.

They agree through JAX's coordination service rather than through their devices, so that waiting for a process ends
after some time, with a message that names it.
"""

import json
import os
import re
import sys
from typing import Any

import jax
from jax._src import clusters
from jax._src import distributed as service  # JAX has no public name for its client; Orbax and Flax take it here too

from learner_jax.roll_call import Unreachable, roll_call
from tfds_builders.errors import InputError

WAIT = 300  # seconds that processes wait for each other at most: one may still be reading tables
_CONNECTING = 60  # seconds after which JAX aborts although all processes had come
_HEARTBEAT = 100  # seconds of silence after which JAX aborts; learner_jax.pulse is faster
_CLOSING = 3600  # seconds that the others wait for the first at the end: it may still be uploading to a bucket
# Variables that launchers set for each of several processes, and their value for a process that is alone.
_ONE_OF_SEVERAL = {"OMPI_COMM_WORLD_SIZE": "1", "PMI_SIZE": "1", "JOB_COMPLETION_INDEX": "0"}
_REMEDY = "Give --coordinator_address, --num_processes and --process_id"
_SAME_FLAGS = "Start all with the same flags and the same dataset"
_asked = 0  # how often the processes have agreed on something, the same on all of them


def start(coordinator_address: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Join the other processes of the run; call it before JAX has devices.

    The flags say where they are, or a cluster that JAX recognises does (Cloud TPU, SLURM, Open MPI 4, Kubernetes
    through its package). Otherwise this process is alone.

    Args:
      coordinator_address: ``host:port`` of process 0, the same on all processes.
      num_processes: number of processes.
      process_id: index of this process, from 0.

    Raises:
      InputError: the flags do not go together, those of the processes differ, or this is one of several processes of
        which nothing is known.
      Unreachable: some processes did not come; the message names them.
    """
    given = (coordinator_address, num_processes, process_id)
    if given != (None, None, None):
        _check(*given)
        print(f"process {process_id} of {num_processes} meets the others at {coordinator_address}", file=sys.stderr)
    elif os.environ.get("SLURM_NTASKS") == "1":
        return  # JAX would leave it only the first of its GPUs
    found = _found(*given)
    if found is None:
        return
    if found[1] > 1:
        roll_call(*found, WAIT)
    try:
        jax.distributed.initialize(
            *found,
            initialization_timeout=_CONNECTING,
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_CLOSING,
        )
    except jax.errors.JaxRuntimeError as fault:
        raise Unreachable(f"the processes of the run did not find each other: {fault}") from fault


def _check(coordinator_address: str | None, num_processes: int | None, process_id: int | None) -> None:
    if None in (coordinator_address, num_processes, process_id):
        raise InputError(
            "--coordinator_address, --num_processes and --process_id go together: give all three, or none where a "
            "cluster tells them (Cloud TPU, SLURM)"
        )
    if not re.fullmatch(r".+:\d+", coordinator_address):
        raise InputError(f"--coordinator_address is {coordinator_address!r}; it is HOST:PORT of process 0")
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"--process_id is {process_id} and --num_processes {num_processes}; processes are numbered from 0 to "
            f"{num_processes - 1}"
        )


def _found(
    coordinator_address: str | None, num_processes: int | None, process_id: int | None
) -> tuple[str, int, int] | None:
    """Address, number of processes and index of this one, as given or as a cluster tells them; None: it is alone."""
    address = coordinator_address or os.environ.get("JAX_COORDINATOR_ADDRESS")
    detect = clusters.ClusterEnv.auto_detect_unset_distributed_params
    try:
        found = detect(address, num_processes, process_id, None, None, WAIT)[:3]
    except RuntimeError as fault:
        if "mpi4py" not in str(fault):  # needed for Open MPI 5 (jax 0.12)
            raise
        raise InputError(f"{fault}. {_REMEDY}") from fault
    if None not in found:
        return found
    for name, alone_is in _ONE_OF_SEVERAL.items():
        if os.environ.get(name, alone_is) != alone_is:
            raise InputError(
                f"{name} is {os.environ[name]}, so this is one of several processes, of whom JAX is told nothing "
                f"here. {_REMEDY}"
            )
    if found != (None, None, None):
        raise InputError(
            f"the cluster tells address {found[0]}, {found[1]} processes and index {found[2]}, where None is unknown. "
            f"{_REMEDY}"
        )
    return None


def first() -> bool:
    """Whether this is the process that writes files and messages for all."""
    return jax.process_index() == 0


def agreed(value: Any) -> Any:
    """The first process's value, on every process.

    Args:
      value: anything that JSON can hold; only the first process's counts.

    Raises:
      Unreachable: the first process did not arrive in time.
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
    """Wait until every process has arrived.

    Args:
      where: name of this meeting point, used once in a run.
      seconds: longest wait; None: ``WAIT``.

    Raises:
      Unreachable: some processes did not arrive in time; the message names them.
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


def check_same(about: dict[str, Any], where: str = "start", remedy: str = _SAME_FLAGS) -> None:
    """Refuse, on every process, a run whose processes differ: their parts of a global array would not fit together.

    Args:
      about: name -> value that must be the same on all processes; anything that JSON can hold.
      where: name of this check, used once in a run.
      remedy: what the user should do about a difference.

    Raises:
      InputError: with every difference between a process and the first.
      Unreachable: some processes did not arrive in time.
    """
    if alone():
        return
    mine = json.loads(json.dumps(about))
    firsts = agreed(mine)
    differs = [f"{name} is {mine[name]!r} and not {firsts[name]!r}" for name in mine if mine[name] != firsts[name]]
    client, me = service.global_state.client, jax.process_index()
    client.key_value_set(f"learner_jax/differs/{where}/{me}", "; ".join(differs))
    meet(where)
    found = client.key_value_dir_get(f"learner_jax/differs/{where}/")
    by_process = sorted((int(key.rpartition("/")[2]), what) for key, what in found)
    if wrong := [f"on process {process} {what}" for process, what in by_process if what]:
        raise InputError(
            f"the processes of a run must have the same config and data, but {'; '.join(wrong)}, as on process 0. "
            f"{remedy}"
        )


def alone() -> bool:
    """Whether the run has one process. The service knows; ``jax.process_count`` would initialise the devices."""
    return service.global_state.num_processes == 1
