"""Where the curves of a run go beside metrics.jsonl. Each needs a library of its own and may fail as it likes."""

from learner_jax.report.trackers import mlflow, tensorboard, wandb  # noqa: F401  they file themselves
from learner_jax.report.trackers.api import Tracker, chosen, list_trackers
from learner_jax.report.trackers.sent import Sent, opened

__all__ = ["Sent", "Tracker", "chosen", "list_trackers", "opened"]
