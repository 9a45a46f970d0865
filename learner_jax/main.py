"""Train one run: ``python -m learner_jax.main --config configs/demo.py --workdir runs/demo/combined``.

Any field of the config can be set on the command line, for example ``--config.objective.name=mse --config.steps=500``.
After an interruption the same command continues the run where it stopped.

--dry_run compiles the step without reading any scans and reports the memory and time it would need.

--allow_changed resumes a checkpoint with a different config; --helpfull lists all flags and fields.

On several hosts, run the same command on each. On Cloud TPU and SLURM the processes find each other; elsewhere give
--coordinator_address, --num_processes and --process_id.

Exit codes: 0 the run is finished; 2 the input is at fault, and the message says how; 143 preempted after committing a
checkpoint, so start the same command again; 1 anything else.
"""

import contextlib
import dataclasses
import logging as stdlib_logging
import os
import re
import sys
import threading
import time
import traceback
from typing import Annotated, Any, get_args, get_origin

from absl import app, flags, logging
from ml_collections import config_flags

from learner_jax import config_fields
from learner_jax.config import Config
from learner_jax.fields import check_override, override, walk
from learner_jax.host_memory import keep_pages
from tfds_builders.errors import InputError, exit_code, sentence
from tfds_builders.program import import_from_here, worded

BEGAN = time.perf_counter()  # start-up includes importing JAX and finding the other processes
CONFIG = config_flags.DEFINE_config_file("config", None, "File whose get_config() returns a Config.")
PARSERS = {int: flags.IntegerParser(), float: flags.FloatParser()}
for kind in (field.type for _, field, _ in walk(Config())):
    if get_origin(kind) is Annotated:  # a bounded number; ml_collections only knows how to parse plain ones
        config_flags.register_flag_parser_for_type(kind, PARSERS[get_args(kind)[0]])
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of this run alone, or gs://BUCKET/FOLDER: checkpoints, metrics, scores."
)
COORDINATOR = flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0, unless the cluster tells it.")
PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes in the run, likewise.")
PROCESS = flags.DEFINE_integer("process_id", None, "Index of this process, from 0, likewise.")
ALLOW_CHANGED = flags.DEFINE_bool("allow_changed", False, "Resume a checkpoint with a different config.")
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Compile the step and report what it needs, without training.")
_STOPPED = "\nstopped; the same command goes on from the newest checkpoint"


def main(argv: list[str]) -> None:
    """Run what the flags ask for."""
    if argv[1:]:
        raise InputError(f"{argv[1]!r} is not a flag; fields of the config are set by --config.section.field=value")
    if not CONFIG.value or not (WORKDIR.value or DRY_RUN.value):
        raise InputError("both --config FILE and --workdir FOLDER are needed; --help shows an example")
    logging.set_verbosity(logging.FATAL)  # Orbax warns about its own defaults, and logs an error it raises 40 times
    stdlib_logging.getLogger("asyncio").setLevel(stdlib_logging.CRITICAL)  # which logs it once more
    sys.unraisablehook, threading.excepthook = _but_for_closed_loops, _in_a_sentence
    from learner_jax import bucket, distributed
    from learner_jax.compilation_cache import keep_compiled
    from learner_jax.dry_run import dry_run
    from learner_jax.preemption import EXIT_CODE, Preempted
    from learner_jax.pulse import Pulse, fail, leave
    from learner_jax.roll_call import Unreachable
    from learner_jax.train import train

    keep_compiled()
    try:
        distributed.start(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    except Unreachable as fault:
        sys.exit(str(fault))
    try:
        with Pulse():
            if DRY_RUN.value:
                dry_run(CONFIG.value)
            else:
                train(CONFIG.value, bucket.place(WORKDIR.value), allow_changed=ALLOW_CHANGED.value, began=BEGAN)
    except Preempted as stop:
        print(f"{stop}; the checkpoint is committed, the same command goes on from there", file=sys.stderr, flush=True)
        leave(EXIT_CODE)  # a restart must not wait for reader threads or a dead peer's collectives
    except KeyboardInterrupt:
        if distributed.alone():
            raise
        print(_STOPPED, file=sys.stderr, flush=True)
        leave(130)  # JAX would wait for the others at the end, and abort
    except Exception as fault:
        if distributed.alone():
            raise
        fail(fault)


def run() -> None:
    """Entry point: whatever the user can fix ends in one sentence and exit code 2."""
    keep_pages()
    import_from_here()
    try:
        code = exit_code(lambda: app.run(main, flags_parser=_parse))
    except KeyboardInterrupt:
        print(_STOPPED, file=sys.stderr)
        code = 130
    if code == 2:  # at once: on a full disk, TensorBoard's writer would end with tracebacks after the sentence
        with contextlib.suppress(OSError):  # where nobody reads any more
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _but_for_closed_loops(unraisable: Any) -> None:
    """On a full disk, TensorStore tells of each write that fails after the first to a loop that Orbax has closed."""
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


def _in_a_sentence(died: threading.ExceptHookArgs) -> None:
    """As for TensorBoard's writer on a full disk."""
    if isinstance(died.exc_value, Exception) and (told := sentence(died.exc_value)):
        print(told, file=sys.stderr)
    else:
        threading.__excepthook__(died)


def _parse(argv: list[str]) -> list[str]:
    if {"--help", "-h", "-help", "--helpshort", "-helpshort"} & set(argv):
        print(worded(__doc__, "learner_jax.main"))
        sys.exit(0)
    if {"--helpfull", "-helpfull"} & set(argv):
        print(worded(__doc__, "learner_jax.main"), flags.FLAGS.get_help(), "\nfields of the config:", sep="\n")
        print(config_fields.text())
        sys.exit(0)
    for argument in argv[1:]:
        if argument.startswith(("--config.", "-config.")):
            check_override(Config, argument)
    try:
        positional = flags.FLAGS(argv)
        if CONFIG.value is not None:
            dataclasses.fields(CONFIG.value)  # if the file failed to load, this raises its error
    except flags.Error as fault:
        for argument in argv[1:]:
            if argument.startswith("--config.") and "=" in argument:
                override(Config(), argument)  # raises if the value does not fit the field's type
        here = "fields of the config are set by --config.section.field=value, and --help shows an example"
        raise InputError(f"{fault}; {here}") from fault
    except InputError:
        raise
    except Exception as fault:  # whatever the user's own get_config() does wrong
        if missing := re.search(r"No such file or directory: '(.+?)'", str(fault)):  # ml_collections says it in 5 lines
            raise InputError(f"there is no file {missing[1]}; give --config one with a get_config()") from fault
        at = traceback.extract_tb(fault.__traceback__)[-1]
        raise InputError(
            f"the config cannot be loaded: {fault} ({type(fault).__name__} in {at.filename}, line {at.lineno}). Give "
            "--config a file with a get_config()"
        ) from fault
    return positional


if __name__ == "__main__":
    run()
