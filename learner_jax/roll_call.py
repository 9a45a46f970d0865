"""Who has come, before JAX connects the processes of a run: its own first meeting names nobody and ends in an abort.

Process 0 listens for some moments at the address at which JAX will coordinate the run. Each other process reports there
with its number, and process 0 tells all of them when everybody is there, or who is not.
"""

import asyncio
import contextlib
import json
import os
import socket
import time
from typing import Any

from tfds_builders.errors import InputError

_PAUSE = 0.2  # seconds between attempts to reach process 0
_READING = 10  # seconds that the others wait longer for an answer than process 0 waits for them
_REMEDY = "Start all processes of the run with the same address and number of processes, numbered from 0"


class Unreachable(Exception):
    """Another process of the run did not arrive in time."""


def roll_call(address: str, processes: int, process: int, seconds: int) -> None:
    """Return once all processes of a run have come.

    Args:
      address: ``host:port`` of process 0, the same on all processes; free again when this returns.
      processes: number of processes, at least 2.
      process: index of this process, from 0.
      seconds: how long process 0 waits for the others, and they for it.

    Raises:
      Unreachable: on every process that came, with the numbers of those that did not; or a later process has the number
        of this one; or process 0 cannot listen at the address, which a run that is still ending may hold.
      InputError: process 0 expects another number of processes than this one.
    """
    host, _, port = address.rpartition(":")
    if process == 0:
        try:
            listening = _listen(port)
        except OSError as fault:
            raise Unreachable(f"process 0 cannot listen at {address}: {fault}") from fault
        answer = asyncio.run(_gather(listening, processes, seconds))
    else:
        answer = _report(host.strip("[]"), int(port), {"process": process, "of": processes}, seconds)
    if answer is None:
        raise Unreachable(
            f"process {process} waited {seconds} s for process 0, which does not answer at {address}. {_REMEDY}"
        )
    if refused := answer.get("refused"):
        raise InputError(f"{refused}. {_REMEDY}")
    if answer.get("replaced"):
        raise Unreachable(f"process {process} ends, as another process with this number came later. {_REMEDY}")
    if missing := ", ".join(map(str, answer["missing"])):
        odd = "".join(f"; {what}" for what in answer["odd"])
        raise Unreachable(f"process {process} waited {seconds} s for process {missing} of {processes}{odd}. {_REMEDY}")


def _listen(port: str) -> socket.socket:
    """A socket where JAX's service will listen: on all interfaces, unless JAX's variable names one."""
    host, _, port = os.environ.get("JAX_COORDINATOR_BIND_ADDRESS", f"[::]:{port}").rpartition(":")
    if host != "[::]":
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", int(port)))


async def _gather(listening: socket.socket, processes: int, seconds: int) -> dict[str, Any]:
    """Process 0's part: listen until all have come, give every visitor the answer and return it.

    Who does not fit is sent away rather than ending the run: it may be left over from before a restart.
    """
    here: dict[int, asyncio.StreamWriter] = {}
    odd: list[str] = []
    all_here = asyncio.Event()

    def missing() -> list[int]:
        return sorted(set(range(1, processes)) - set(here))

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = None
        try:
            said = json.loads(await reader.readline())
            process, of = int(said["process"]), int(said["of"])
            if of != processes:
                odd.append(f"process {process} was told of {of} processes, process 0 of {processes}")
                _tell(writer, {"refused": odd[-1]})
                return
            if process in here:
                odd.append(f"two processes said that they are process {process}")
                _tell(here[process], {"replaced": True})
            here[process] = writer
            if not missing():
                all_here.set()
            await reader.read()  # until the visitor leaves
        except (OSError, ValueError, KeyError, TypeError):
            pass  # a visitor that died, or a stranger, such as a port scan
        finally:
            if here.get(process) is writer and not all_here.is_set():
                del here[process]
            writer.close()

    server = await asyncio.start_server(greet, sock=listening, backlog=1024)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_here.wait(), seconds)
    server.close()
    answer = {"missing": missing(), "odd": odd}
    for writer in here.values():
        _tell(writer, answer)
    return answer


def _tell(visitor: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    visitor.write(json.dumps(answer).encode() + b"\n")


def _report(host: str, port: int, who: dict[str, int], seconds: int) -> dict[str, Any] | None:
    """The others' part: tell process 0 who this is and return its answer; None if there was none in time."""
    until = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host, port), timeout=_READING) as first:
                first.settimeout(seconds + _READING)
                first.sendall(json.dumps(who).encode() + b"\n")
                return json.loads(first.makefile().readline())
        except (OSError, ValueError):  # it is not there yet, has died, or something else listens there
            if time.monotonic() > until:
                return None
            time.sleep(_PAUSE)
