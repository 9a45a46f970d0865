"""Event files for TensorBoard, in ``WORKDIR/tensorboard``.

tensorboardX writes them with only protobuf and NumPy (0.65 MB, November 2026); TensorBoard's own writer comes with gRPC
and a web server, 78 MB besides NumPy.
"""

import json
from collections.abc import Mapping

from learner_jax.report.trackers.api import Run, register

FOLDER = "tensorboard"
_SECONDS = 10  # until a line is on disk; a killed process loses that much


@register("tensorboard", module="tensorboardX", install="tensorboardX")
class TensorBoard:
    """One event file per process. TensorBoard hides what earlier files say about steps that this one repeats."""

    def __init__(self, run: Run):
        from tensorboardX import SummaryWriter

        folder = str(run.workdir / FOLDER)
        suffix = f".{run.start}"  # names are unique only to the second, and a file of the same name would be lost
        self._writer = SummaryWriter(folder, purge_step=run.start + 1, flush_secs=_SECONDS, filename_suffix=suffix)
        self._writer.add_text("config", f"```\n{json.dumps(run.about, indent=1)}\n```", run.start + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, finished: bool) -> None:
        self._writer.close()
