"""Progress of a run: a bar on a terminal, a plain line every ten seconds in a log file."""

import collections
import datetime
import io
import sys
import time
from collections.abc import Callable

from rich import progress as rich_progress
from rich.console import Console

_LINE_EVERY = 10.0  # seconds between plain lines
_WINDOW = 30.0  # seconds over which the recent rate is measured


class Progress:
    """Step, loss, examples per second and time left, while the ``with`` block lasts.

    Args:
      total_steps: steps of the whole run.
      start_step: step from which this process starts; the steps before do not count in the rate.
      batch_size: examples per step, over all devices.
      label: what is running, shown first.
      stream: where to write; None means standard output.
      clock: seconds; replaced in tests.
    """

    def __init__(
        self,
        total_steps: int,
        start_step: int = 0,
        batch_size: int = 1,
        label: str = "",
        stream: io.TextIOBase | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total, self._step, self._batch_size, self._label = total_steps, start_step, batch_size, label
        self._stream = sys.stdout if stream is None else stream
        self._clock, self._loss, self._input_wait = clock, None, None
        # The rate is measured between updates: the first step includes compilation, which says nothing about speed.
        self._marks: collections.deque[tuple[float, int]] = collections.deque()
        self._last_line, self._told = clock(), -1
        self._bar = self._make_bar() if self._stream.isatty() else None

    @property
    def rate(self) -> float | None:
        """Examples per second over the last 30 seconds; None before the second step."""
        if len(self._marks) < 2 or self._marks[-1][0] <= self._marks[0][0]:
            return None
        (start, first), (end, last) = self._marks[0], self._marks[-1]
        return self._batch_size * (last - first) / (end - start)

    def update(self, step: int, loss: float | None = None, input_wait: float | None = None) -> None:
        """Step ``step`` is done.

        Args:
          step: number of steps done.
          loss: of this step; None keeps the last one shown, since reading it from the device holds up training.
          input_wait: share of the time, 0 to 1, in which training waits for its next batch; None if unknown.
        """
        now = self._clock()
        self._step = step
        self._loss = self._loss if loss is None else float(loss)
        self._input_wait = input_wait
        self._marks.append((now, step))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()
        if self._bar is not None:
            self._bar.update(self._task, completed=step, **self._fields())
        elif now - self._last_line >= _LINE_EVERY:
            self._tell(now)

    def say(self, text: str) -> None:
        """Print a line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._marks and self._told != self._step:
            self._tell(self._clock())

    def _make_bar(self) -> rich_progress.Progress:
        bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}", markup=False),
            rich_progress.BarColumn(bar_width=None),
            rich_progress.TextColumn("{task.completed}/{task.total}  {task.fields[loss]}", markup=False),
            rich_progress.TextColumn("{task.fields[rate]}  {task.fields[wait]}  {task.fields[eta]}", markup=False),
            console=Console(file=self._stream),
            expand=True,
        )
        self._task = bar.add_task(self._label or "train", total=self._total, completed=self._step, **self._fields())
        return bar

    def _tell(self, now: float) -> None:
        fields = self._fields()
        words = [self._label, f"step {self._step}/{self._total}", *fields.values()]
        print("  ".join(word for word in words if word), file=self._stream, flush=True)
        self._last_line, self._told = now, self._step

    def _fields(self) -> dict[str, str]:
        rate, left = self.rate, "unknown"
        if rate:
            left = datetime.timedelta(seconds=round((self._total - self._step) * self._batch_size / rate))
        return {
            "loss": "" if self._loss is None else f"loss {self._loss:.3f}",
            "rate": "" if rate is None else f"{rate:.0f} examples/s",
            "wait": "" if self._input_wait is None else f"input wait {100 * self._input_wait:.1f} %",
            "eta": "" if rate is None else f"eta {left}",
        }
