"""A trace of a few steps, for TensorBoard's profile plug-in, XProf or Perfetto: ``config.profile=20:25``."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from learner_jax.config import Config
from learner_jax.distributed import first
from learner_jax.report.ledger import Ledger
from tfds_builders.errors import InputError

FOLDER = "profile"


def window(config: Config) -> tuple[int, int] | None:
    """First and last step of ``config.profile``; None if it is empty.

    Raises:
      InputError: it is not such a pair, or is not within the run.
    """
    if not config.profile:
        return None
    found = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", config.profile, re.ASCII)
    if not found:
        raise InputError(
            f"config.profile is {config.profile!r}; it is the first and the last step to trace, such as 20:25, or "
            "empty. Set --config.profile=FIRST:LAST"
        )
    begin, end = int(found[1]), int(found[2])
    if not 1 <= begin <= end <= config.steps:
        raise InputError(
            f"config.profile is {config.profile!r}; steps go from 1 to {config.steps}, and the first one to trace does "
            "not come after the last. Set --config.profile=FIRST:LAST"
        )
    return begin, end


class Profiler:
    """Traces the steps ``begin`` to ``end`` of an update, each marked ``train`` with its number.

    The host waits for the device only after the last of them, so what was dispatched before the first may still be
    computing when the trace begins.
    """

    def __init__(self, begin: int, end: int, workdir: Path, ledger: Ledger):
        self._begin, self._end, self._folder, self._ledger = begin, end, workdir / FOLDER, ledger
        self._tracing = False

    def of(self, update: Callable[..., tuple], start: int) -> Callable[..., tuple]:
        """The same update, traced; ``start`` steps were done before."""
        steps = itertools.count(start + 1)

        def traced(*arguments: Any) -> tuple:
            step = next(steps)
            if not self._begin <= step <= self._end:
                return update(*arguments)
            self._start()
            with jax.profiler.StepTraceAnnotation("train", step_num=step):
                state, metrics = update(*arguments)
            if step == self._end:
                jax.block_until_ready(metrics)
                self.stop()
            return state, metrics

        return traced

    def _start(self) -> None:
        if not self._tracing:
            self._tracing = True
            with self._ledger.on("other"):
                jax.profiler.start_trace(self._folder)

    def stop(self) -> None:
        """End the trace, if there is one, and write it to disk."""
        if self._tracing:
            self._tracing = False
            with self._ledger.on("other"):
                jax.profiler.stop_trace()


@contextlib.contextmanager
def traced(
    update: Callable[..., tuple], config: Config, workdir: Path, start: int, ledger: Ledger
) -> Iterator[Callable[..., tuple]]:
    """The update, traced into ``workdir/profile`` during the steps that the config names; on the first process only."""
    steps = window(config)
    if steps is None or not first():
        yield update
        return
    profiler = Profiler(*steps, workdir, ledger)
    try:
        yield profiler.of(update, start)
    finally:
        profiler.stop()
