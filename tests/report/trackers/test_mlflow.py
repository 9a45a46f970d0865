"""MLflow with a database in the workdir: one run of two processes. Needs the extra `mlflow`."""

import contextlib
import sqlite3

import pytest

from tests.report.trackers.conftest import SECRET

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")
pytestmark = pytest.mark.filterwarnings("ignore")  # its own


def test_both_processes_are_one_run_with_all_steps_and_without_paths(twice, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    killed = []
    run = twice("mlflow", lambda workdir: killed.extend(_ask(workdir, "select status from runs")))
    ((uuid, status),) = _ask(run, "select run_uuid, status from runs")
    steps = _ask(run, "select step, value from metrics where key = 'loss' order by timestamp, step")
    params = dict(_ask(run, "select key, value from params"))
    tags = dict(_ask(run, "select key, value from tags"))
    assert (run / "trackers/mlflow.id").read_text() == f"{uuid}\n"
    assert killed == [("KILLED",)]
    assert status == "FINISHED"
    assert sorted(steps) == [(step, step / 10) for step in (1, 2, 3, 4, 4, 5, 5, 6)]
    assert len(params) > 100  # more than a server takes at once
    assert params["optim.learning_rate"] == "0.001"
    assert not any(SECRET in value for value in params.values())
    assert tags == {"mlflow.runName": "run"}, "neither the user nor the script"
    assert [path.name for path in tmp_path.iterdir()] == ["run"], "nothing beside the workdir"


def _ask(workdir, question):
    with contextlib.closing(sqlite3.connect(workdir / "mlflow.db")) as database:
        return database.execute(question).fetchall()
