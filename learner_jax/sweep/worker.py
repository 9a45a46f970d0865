"""A process that works through commands of this package one after another, loading and tracing what they share once.

``python -m learner_jax.sweep.worker`` reads lines of JSON, ``[command, log]``, and answers each with the exit code that
the command would have in a process of its own. If stdin ends during a command, the sweep has died: a trainer then
commits its checkpoint and stops, because a restarted sweep will need the folder and the device.
"""

import argparse
import contextlib
import json
import logging as stdlib_logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from learner_jax.host_memory import keep_pages
from tfds_builders.errors import exit_code

TRAINER, EVALUATOR = "learner_jax.main", "learner_jax.evaluate"


def takes(command: Sequence[str]) -> bool:
    """Whether a worker can do a command."""
    return list(command[:2]) == [sys.executable, "-m"] and command[2] in (TRAINER, EVALUATOR)


def main() -> None:
    """Work until there are no more lines."""
    keep_pages()
    answers, lines, working = os.dup(1), queue.SimpleQueue(), threading.Event()
    threading.Thread(target=_listen, args=(lines, working), daemon=True).start()
    while line := lines.get():
        command, log = json.loads(line)
        _speak_into(Path(log))
        code = _code(command)
        sys.stdout.flush()
        working.clear()
        with contextlib.suppress(BrokenPipeError):
            os.write(answers, f"{code}\n".encode())


def _listen(lines: queue.SimpleQueue, working: threading.Event) -> None:
    for line in sys.stdin:
        working.set()
        lines.put(line)
    if working.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
    lines.put("")


def _code(command: Sequence[str]) -> int:
    try:
        return exit_code(lambda: _do(command[2], command[3:]))
    except SystemExit as stop:
        return stop.code
    except Exception:
        traceback.print_exc()
        return 1


def _speak_into(log: Path) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _do(module: str, arguments: Sequence[str]) -> None:
    from absl import flags, logging

    from learner_jax import evaluate
    from learner_jax.compilation_cache import keep_compiled

    flags.FLAGS.mark_as_parsed()  # grain reads an absl flag
    logging.set_verbosity(logging.FATAL)
    stdlib_logging.getLogger("asyncio").setLevel(stdlib_logging.CRITICAL)
    keep_compiled()
    if module == TRAINER:
        _train(arguments)
    elif code := evaluate.main(list(arguments)):
        sys.exit(code)


def _train(arguments: Sequence[str]) -> None:
    from learner_jax import bucket
    from learner_jax.config import Config
    from learner_jax.fields import override
    from learner_jax.preemption import EXIT_CODE, Preempted
    from learner_jax.sweep.source import returned
    from learner_jax.train import train

    began = time.perf_counter()
    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    parser.add_argument("--workdir")
    known, fields = parser.parse_known_args(arguments)
    config = returned(known.config, "get_config", Config)
    for field in fields:
        override(config, field)
    try:
        train(config, bucket.place(known.workdir), began=began)
    except Preempted as stop:
        print(f"{stop}; the checkpoint is committed, the same command goes on from there", file=sys.stderr)
        sys.exit(EXIT_CODE)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # the parent gets the interrupt too
        sys.exit(130)
