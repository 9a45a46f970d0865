"""Keep goodput.json up to date during a run."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from learner_jax.distributed import first
from learner_jax.preemption import Preempted
from learner_jax.report import goodput, high_water
from learner_jax.report.goodput import Life
from learner_jax.report.ledger import Ledger

EVERY = 10.0  # seconds between two signs of life
Efficiency = Callable[[float], dict[str, float]]  # seconds of a step -> "mfu" and "of_bound"; empty if unknown


class Bookkeeper:
    """Records one life of a run: at checkpoints, at the end and, as a sign of life, every ten seconds.

    Args:
      workdir: of the run; what earlier processes recorded there is kept.
      ledger: of this process's time.
      batch_size: scans per step, over all devices.
      efficiency: what a step of so many seconds achieves.
    """

    def __init__(self, workdir: Path, ledger: Ledger, batch_size: int, efficiency: Efficiency):
        self._workdir, self._ledger, self._batch_size, self._efficiency = workdir, ledger, batch_size, efficiency
        self._before = goodput.read(workdir)
        self._began = time.time() - sum(ledger.seconds().values())
        self._life: Life | None = None
        self._first: tuple[int, dict[str, float]] | None = None  # step and ledger when the first step was seen finished
        # The same of the newest step but one. A CPU computes step 2 before step 1 is seen finished, but nothing after
        # the last, so that a run of two steps would have taken no time.
        self._until: tuple[int, dict[str, float]] | None = None
        self._newest: tuple[int, dict[str, float]] | None = None
        self._written = -math.inf
        self._peaks = _peaks()  # from earlier in this process, such as another run of a sweep

    @property
    def input_wait(self) -> float | None:
        """Share of the wall time since the first finished step in which the loop waited for the next batch."""
        spent = self._since_first()
        return spent["input"] / sum(spent.values()) if spent else None

    def begin(self, start: int, seen: int = 0) -> None:
        """This process continues from step ``start``; ``seen`` is the last step known to have been finished."""
        if self._before and not self._before[-1].ended:  # killed since its last sign of life
            self._before[-1].step = max(self._before[-1].step, seen)
        self._life = Life(start, start, {}, self._began, self._began, devices=jax.device_count())

    def finished(self, step: int, loss: float, skipped: int) -> None:
        """A step is finished: its metrics are on the host."""
        self._until, self._newest = self._newest, (step, self._ledger.seconds())
        self._first = self._first or self._newest
        self._life.step, self._life.skipped = step, skipped
        self._life.loss = loss if math.isfinite(loss) else None

    def beat(self, rate: float | None) -> None:
        """Write if the last time is long ago; ``rate`` is the recent rate in examples per second."""
        self._life.recent_examples_per_second = rate
        if time.monotonic() - self._written >= EVERY:
            self.write()

    def write(self, ended: str = "") -> None:
        """Write what is known of this life to disk."""
        if self._life is None:
            return
        life = self._life
        life.seconds, life.seen, life.ended = self._ledger.seconds(), time.time(), ended
        host, device = (
            now if now is not None and now > (before or 0) else None
            for now, before in zip(_peaks(), self._peaks, strict=True)
        )
        life.host_peak_bytes, life.device_peak_bytes = host or 0, device
        life.input_wait = self.input_wait
        spent = self._since_first()
        if spent and spent["input"] + spent["steps"] > 0:
            step = (spent["input"] + spent["steps"]) / (self._until[0] - self._first[0])
            life.examples_per_second = self._batch_size / step
            reached = self._efficiency(step)
            life.mfu, life.of_bound = reached.get("mfu"), reached.get("of_bound")
        goodput.write(self._workdir, [*self._before, life])
        self._written = time.monotonic()

    def close(self, ended: str) -> str:
        """Write for the last time; returns the table to print, empty if there was nothing to do."""
        did = self._life is not None and (self._life.step > self._life.start or self._ledger.seconds()["evaluation"])
        if not did:
            return ""
        self.write(ended)
        return goodput.table([*self._before, self._life])

    def _since_first(self) -> dict[str, float]:
        if self._until is None or self._until[0] == self._first[0]:
            return {}
        return {account: self._until[1][account] - before for account, before in self._first[1].items()}


def _peaks() -> tuple[int, int | None]:
    return high_water.of_host(), high_water.of_devices(jax.local_devices())


@contextlib.contextmanager
def keeping(workdir: Path, ledger: Ledger, batch_size: int, efficiency: Efficiency) -> Iterator[Bookkeeper | None]:
    """A bookkeeper on the first process, None on the others; prints its table when the run is done."""
    if not first():
        yield None
        return
    books = Bookkeeper(workdir, ledger, batch_size, efficiency)
    ended = "finished"
    try:
        yield books
    except BaseException as fault:
        ended = "preempted" if isinstance(fault, Preempted) else type(fault).__name__
        raise
    finally:
        if told := books.close(ended):
            print(told, flush=True)
