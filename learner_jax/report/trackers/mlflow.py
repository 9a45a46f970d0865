"""MLflow: the extra ``mlflow``. ``MLFLOW_TRACKING_URI`` says where; ``MLFLOW_EXPERIMENT_NAME`` is read."""

import os
import time
from collections.abc import Mapping

from learner_jax.report.trackers.api import Run, register


@register("mlflow", module="mlflow", install="'.[mlflow]'")
class MLflow:
    """The processes of a run continue one MLflow run. Steps that are repeated are sent again, with the same values.

    MLflow's client is told what to send; its fluent functions would add the user, the script's path and git. Without an
    address, what it writes lies in ``WORKDIR/mlruns``.
    """

    def __init__(self, run: Run):
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._metric = Metric
        self._client = MlflowClient(
            os.environ.get("MLFLOW_TRACKING_URI") or (run.workdir / "mlruns").absolute().as_uri()
        )
        self._run = run.stored_id("mlflow")
        if self._run is None:
            created = self._client.create_run(self._experiment(), run_name=run.name)
            self._run = created.info.run_id
            run.store_id("mlflow", self._run)
            params = [Param(name, str(value)) for name, value in run.about.items()]
            self._client.log_batch(self._run, params=params)
        else:
            self._client.update_run(self._run, status="RUNNING")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self._metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._run)

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "learner_jax")
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)
