"""Weights & Biases: the extra ``wandb``. ``WANDB_PROJECT``, ``WANDB_ENTITY`` and ``WANDB_MODE=offline`` are read."""

import os
import uuid
from collections.abc import Mapping

from learner_jax.report.trackers.api import Run, register


@register("wandb", module="wandb", install="'.[wandb]'")
class WeightsAndBiases:
    """All processes of a run continue one W&B run; repeated steps are sent again, with the same values.

    A process that stops before the last step leaves the run as failed.

    By itself, W&B collects the command line, host, git state, installed packages, terminal output and system metrics.
    These contain paths, so all of that is switched off.

    Raises:
      RuntimeError: W&B would have to ask for a key on the terminal, which belongs to the progress bar.
    """

    def __init__(self, run: Run):
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its error reports contain paths
        import wandb

        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
            host="",
            program="learner_jax.main",
            root_dir=str(run.workdir),
        )
        online = wandb.setup().settings.mode in ("online", "shared")
        if online and not wandb.login(prompt=False, verify=False):
            raise RuntimeError("no API key is set; run `wandb login` first, or set WANDB_MODE=offline")
        name = run.stored_id("wandb") or uuid.uuid4().hex
        run.store_id("wandb", name)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "learner_jax"),
            id=name,
            name=run.name,
            config=run.about,
            resume="allow" if online else None,
            dir=str(run.workdir),
            settings=settings,
        )
        # W&B's own step must not decrease, as it would when a run continues from a checkpoint.
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def close(self, finished: bool) -> None:
        self._run.finish(0 if finished else 1)
