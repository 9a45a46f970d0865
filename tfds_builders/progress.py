"""Progress of a build: a bar on a terminal, a plain line every ten seconds in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")

_SECONDS_BETWEEN_LINES = 10.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.1f} scans/s")


def track(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yield the items, and show on stderr how many are done, how many per second, and how long the rest will take."""
    console = Console(file=sys.stderr)
    if console.is_terminal:
        columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=total)
            for item in items:
                yield item
                bar.advance(task)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last > _SECONDS_BETWEEN_LINES or done == total:
            rate = done / max(now - start, 1e-9)
            print(f"{what}: {done}/{total}, {rate:,.1f} scans/s, {(total - done) / rate:.0f} s left", file=console.file)
            last = now
