import json

import numpy as np

from learner_jax.report.study import read_study
from learner_jax.report.vitals import vitals


def test_a_panel_for_each_figure_that_is_there_and_a_line_for_each_arm(demo):
    path = demo / "mse" / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"gradient_norm": 2.0 / line["step"]}) + "\n" for line in lines))
    picture = vitals(read_study(demo).arms)
    rank, norm = (axis for axis in picture.figure.axes if axis.get_visible())
    assert [len(axis.lines) for axis in (rank, norm)] == [3, 1]
    np.testing.assert_allclose(rank.lines[2].get_ydata(), [line["effective_rank"] for line in lines])
    np.testing.assert_allclose(norm.lines[0].get_ydata(), [2.0 / line["step"] for line in lines])
    assert "skipped" not in picture.numbers["figure"], "no step was lost, and a line at 0 says nothing"


def test_lost_steps_are_drawn_and_null_is_left_out(demo):
    (demo / "mse" / "metrics.jsonl").write_text(
        '{"step": 1, "skipped": 0, "mean_cosine": 0.5}\n{"step": 2, "skipped": 1, "mean_cosine": null}\n'
        '{"step": 3, "skipped": 1, "mean_cosine": 0.25}\n'
    )
    arms = read_study(demo / "mse").arms
    steps, values = arms[0].first.curve("mean_cosine")
    np.testing.assert_array_equal(steps, [1, 3])
    np.testing.assert_array_equal(values, [0.5, 0.25])
    assert set(vitals(arms).numbers["figure"]) == {"skipped", "mean_cosine"}
