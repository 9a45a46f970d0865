"""Unreadable records: each costs one example and is reported once; too many of them end the run."""

import sys
from collections.abc import Callable, Sequence

import jax
import numpy as np

from learner_jax.distributed import first
from tfds_builders.errors import InputError
from tfds_builders.wording import plural

_NAMED = 5  # rows in the sentence that ends a run


class Damage:
    """The cohort rows that this process has found unreadable.

    Reading threads call :meth:`note`; the consumer of their batches, in order, calls :meth:`count`. So the step at
    which a run ends depends on its rows and not on the threads.

    Args:
      scan_ids: of the cohort's rows.
      most: largest fraction of a part's rows that may be unreadable.
      say: called with a sentence for the user; None: print it.
    """

    def __init__(self, scan_ids: Sequence[str], most: float, say: Callable[[str], None] | None = None):
        self._scan_ids, self._most, self._say = scan_ids, most, say or _print
        self._reasons: dict[int, str] = {}
        self._found: set[int] = set()

    def note(self, row: int, reason: str) -> None:
        """Record why a row cannot be read; may be called from any thread."""
        self._reasons.setdefault(row, reason)

    def count(self, found: np.ndarray, among: np.ndarray, part: str) -> None:
        """Report the unreadable rows that were not reported before.

        Args:
          found: i64 ``[n]``, unreadable rows.
          among: i64 ``[m]``, all rows of the part that they belong to.
          part: name of the part.

        Raises:
          InputError: a larger fraction of the part than allowed is unreadable, counting each row once.
        """
        new = sorted(set(found.tolist()) - self._found)
        if not new:
            return
        self._found.update(new)
        for row in new:
            self._say(f"{self._described(row)} cannot be read and is left out")
        bad = sorted(self._found.intersection(among.tolist()))
        if len(bad) <= self._most * len(among):
            return
        named = "; ".join(map(self._described, bad[:_NAMED])) + ("; …" if len(bad) > _NAMED else "")
        raise InputError(
            f"{len(bad)} of {len(among)} {part} scans cannot be read, and config.data.max_bad_fraction is "
            f"{self._most:g}: {named}. Build the dataset again with --overwrite, or go on without such scans: "
            "--config.data.max_bad_fraction=…"
        )

    def spared(self, rows: np.ndarray) -> np.ndarray:
        """bool ``[n]``: False for the rows that have been found unreadable."""
        return ~np.isin(rows, list(self._found))

    def tell(self) -> None:
        """Say the summary, if there is one."""
        if summary := self.summary():
            self._say(summary)

    def summary(self) -> str:
        """How many rows were found unreadable, and which; empty if none."""
        rows = sorted(self._found)
        if not rows:
            return ""
        named = ", ".join(map(str, rows[:100])) + (", …" if len(rows) > 100 else "")
        return f"{plural(len(rows), 'scan')} could not be read and left out: rows {named}"

    def _described(self, row: int) -> str:
        reason = self._reasons.get(row, "found by another process")
        return f"row {row} of the cohort (scan {self._scan_ids[row]}; {reason})"


def _print(text: str) -> None:
    if first():
        print(text, flush=True)
    else:
        print(f"process {jax.process_index()}: {text}", file=sys.stderr, flush=True)
