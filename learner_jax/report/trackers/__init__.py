"""Where the curves of a run go besides metrics.jsonl. Each tracker needs its own library, and may fail harmlessly."""

from learner_jax.report.trackers import mlflow, tensorboard, wandb  # noqa: F401  they register themselves
from learner_jax.report.trackers.api import Tracker, chosen, list_trackers
from learner_jax.report.trackers.sent import Sent, opened

__all__ = ["Sent", "Tracker", "chosen", "list_trackers", "opened"]
