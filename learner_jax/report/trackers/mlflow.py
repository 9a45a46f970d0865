"""MLflow: the extra ``mlflow``. ``MLFLOW_TRACKING_URI`` says where; ``MLFLOW_EXPERIMENT_NAME`` is read."""

import logging
import os
import time
from collections.abc import Mapping

from learner_jax.report.trackers.api import Run, register

_MOST = 100  # parameters that a server accepts at once


@register("mlflow", module="mlflow", install="'.[mlflow]'")
class MLflow:
    """All processes of a run continue one MLflow run; repeated steps are sent again, with the same values.

    A process that stops before the last step leaves the run as KILLED.

    The low-level client sends only what it is told to; MLflow's fluent functions would add the user, the script's path
    and git. Without an address it writes ``WORKDIR/mlflow.db``: since 3.17 MLflow refuses to start a file store.
    """

    def __init__(self, run: Run):
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it logs each table that it creates
        self._metric = Metric
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.workdir.absolute() / 'mlflow.db'}"
        self._client = MlflowClient(address)
        self._run = run.stored_id("mlflow")
        if self._run is not None:
            self._client.update_run(self._run, "RUNNING")
            return
        self._run = self._client.create_run(self._experiment(), run_name=run.name).info.run_id
        run.store_id("mlflow", self._run)
        params = [Param(name, str(value)) for name, value in run.about.items()]
        for first in range(0, len(params), _MOST):
            self._client.log_batch(self._run, params=params[first : first + _MOST])

    def write(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self._metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "learner_jax")
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)
