"""The processes of one run: how they find each other, agree, and stop together.

They agree through JAX's coordination service and not through their devices, so that waiting ends after a time and says
for whom.
"""

import json
from typing import Any

import jax
from jax._src import distributed as service  # JAX has no public name for its client; Orbax and Flax take it here too

from tfds_builders.errors import InputError

WAIT = 300  # seconds that processes wait for each other at most: one may still read tables that another has
_HEARTBEAT = 30  # seconds of silence after which a process counts as dead
_asked = 0  # how often the processes have agreed on something, the same on all of them


class Unreachable(Exception):
    """Another process of the run did not come in time."""


def start(coordinator_address: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Join the other processes of the run: those that the flags name, or a cluster does whose signs JAX knows (Cloud
    TPU, SLURM, Kubernetes, Open MPI). Without either this process is alone. To be called before JAX has devices.

    Args:
      coordinator_address: ``host:port`` of process 0, the same on all.
      num_processes: of the run.
      process_id: of this one, from 0.

    Raises:
      InputError: flags that do not go together.
      Unreachable: the others did not come.
    """
    given = (coordinator_address, num_processes, process_id)
    if None in given and given != (None, None, None):
        raise InputError(
            "--coordinator_address, --num_processes and --process_id go together: give all three, or none where a "
            "cluster tells them (Cloud TPU, SLURM, Kubernetes, Open MPI)"
        )
    try:
        jax.distributed.initialize(
            *given, initialization_timeout=WAIT, heartbeat_timeout_seconds=_HEARTBEAT, shutdown_timeout_seconds=60
        )
    except ValueError as fault:
        if given != (None, None, None):
            raise InputError(f"{fault}; got {', '.join(map(str, given))}") from fault
        # "coordinator_address should be defined": no cluster
    except RuntimeError as fault:
        raise Unreachable(f"the processes of the run did not find each other in {WAIT} s: {fault}") from fault


def first() -> bool:
    """Whether this is the process that writes and speaks for all."""
    return jax.process_index() == 0


def agreed(value: Any) -> Any:
    """What the first process has, on all of them; it can be written as JSON.

    Raises:
      Unreachable: the first process did not come in time.
    """
    global _asked
    if jax.process_count() == 1:
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
