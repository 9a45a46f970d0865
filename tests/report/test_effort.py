import time

from learner_jax.report import effort, goodput
from learner_jax.report.goodput import Life
from learner_jax.report.health import look
from learner_jax.report.ledger import ACCOUNTS
from learner_jax.report.study import read_study


def lived(run, **fields):
    spent = dict.fromkeys(ACCOUNTS, 0.0) | {"start": 25.0, "steps": 75.0}
    goodput.write(run, [Life(0, 300, spent, time.time() - 100, time.time(), "finished", **fields)])


def test_a_run_has_its_speed_and_columns_that_nobody_knows_are_left_out(demo):
    lived(demo / "mse", examples_per_second=123.4, input_wait=0.05, host_peak_bytes=3 * 2**29)
    runs = read_study(demo).runs
    head, rows = effort.table(runs, [look(run.folder) for run in runs])
    named = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert named["mse"] == {
        "run": "mse", "state": "finished", "steps": "300 of 300", "examples/s": "123", "input wait": "5.0 %",
        "goodput": "75.0 %", "wall time": "100 s", "memory, host": "1.50 GiB",
    }  # fmt: skip
    assert named["combined"]["examples/s"] == "–"
    head, rows = effort.shares(read_study(demo).runs)
    assert rows == [("mse", *(f"{share} %" for share in (25, 0, 0, 75, 0, 0, 0)))]
    assert head[1:] == tuple(ACCOUNTS.values())


def test_what_is_wrong_is_said_once(demo):
    (demo / "mse" / "damaged" / "200-1").mkdir(parents=True)
    runs = read_study(demo).runs
    assert effort.warnings(runs, [look(run.folder) for run in runs]) == [
        "mse: 1 checkpoint set aside in its folder damaged/: look at the disk."
    ]
