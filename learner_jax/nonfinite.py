"""Steps without effect, as their loss or gradient was not finite: report their rows, and stop after ten in a row."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from learner_jax.config import Config
from tfds_builders.errors import InputError

IN_A_ROW = 10  # after so many, a run will not recover


class NonFinite:
    """Called after each step, checks the step before it, so that the host never waits for the one that is running.

    Args:
      config: of the run.
      rows: ``step -> i64 [b]``, the cohort rows that the step saw; steps count from 1.
      skipped: steps without effect before this process started.
      say: called with a sentence for the user.
    """

    def __init__(self, config: Config, rows: Callable[[int], np.ndarray], skipped: int, say: Callable[[str], None]):
        self._config, self._rows, self._skipped, self._say = config, rows, skipped, say
        self._in_a_row = 0
        self._pending: tuple[int, Any] | None = None

    def __call__(self, step: int, state: object, metrics: dict[str, Any]) -> None:
        """Check the step before this one.

        Raises:
          InputError: ``IN_A_ROW`` steps in a row had no effect; with what to try.
        """
        self.flush()
        self._pending = step, metrics["skipped"]
        if step == self._config.steps:
            self.flush()

    def flush(self) -> None:
        """Check the step that is still to be checked: after a checkpoint nobody else would tell of it.

        Raises:
          InputError: as a call does.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            self._look(*pending)

    def _look(self, step: int, skipped: Any) -> None:
        count = int(jax.device_get(skipped))
        self._in_a_row = self._in_a_row + 1 if count > self._skipped else 0
        self._skipped = count
        if not self._in_a_row:
            return
        rows = ", ".join(str(row) for row in sorted(self._rows(step)))
        self._say(f"step {step} changed nothing: its loss or gradient is not finite. Rows of the cohort: {rows}")
        if self._in_a_row == IN_A_ROW:
            optim = self._config.optim
            raise InputError(
                f"the loss or gradient of {IN_A_ROW} steps in a row, up to step {step}, was not finite. Try a lower "
                f"--config.optim.learning_rate (now {optim.learning_rate:g}), a longer --config.optim.warmup (now "
                f"{optim.warmup:g}), --config.optim.clip_norm=1 (now {optim.clip_norm:g}); or look at the scans of the "
                "rows named above"
            )
