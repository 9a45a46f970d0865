"""Where arms stand that are not all finished, as their folders tell."""

import csv
import dataclasses

import pytest

from learner_jax.evaluators.rows import Row
from learner_jax.report import goodput
from learner_jax.report.comparison import Difference
from learner_jax.report.goodput import Life
from learner_jax.sweep.account import write_studies
from learner_jax.sweep.board import cells, warnings, write_board
from learner_jax.sweep.pictures import cost, forest
from learner_jax.sweep.standing import Standing, read
from tests.report.conftest import make_run

STUDY = {"name": "s", "settings": ["all"], "arms": ["a"], "seeds": [0, 1, 2, 3, 4], "reference": "a"}
STUDY |= {"choose_by": "pairwise_accuracy"}


def told(name: str, seed: int, rate: float | None = None) -> dict:
    """What ``sweep.json`` tells of a run of three steps."""
    about = {"setting": "all", "arm": "a", "seed": seed, "steps": 3, "learning_rate": rate}
    return {"id": f"s/all/{name}"} | about | {"parameters": 9, "flops": 9}


def score(workdir) -> None:
    """On validation patients."""
    (workdir / "validation/3").mkdir(parents=True)
    (workdir / "validation/3/scores.json").write_text('{"rows": [{"name": "pairwise_accuracy", "value": 0.5}]}')


def test_the_cost_of_an_arm_is_that_of_a_finished_run(tmp_path):
    """Of five seeds two are finished, after 2 h and 4 h, one was cut off after 1 h, and two have not begun."""
    runs = [told(f"a-{seed}", seed) for seed in range(5)]
    for run, hours in zip(runs, (2, 4, 1), strict=False):
        (tmp_path / run["id"]).mkdir(parents=True)
        goodput.write(tmp_path / run["id"], [Life(0, 3, {"steps": 3600.0 * hours}, 0.0, 0.0)])
        if hours > 1:
            score(tmp_path / run["id"])
    write_studies(tmp_path, [STUDY | {"runs": runs, "tried": []}], ["s"])
    (one,) = read(tmp_path).standings
    assert (one.runs, one.device_hours, one.hours_of_a_run) == (2, 7, 3)
    row = Row("pairwise_accuracy", 0.4, None, None, 0, None)
    other = dataclasses.replace(one, arm="b", runs=5, row=row, device_hours=10.0, hours_of_a_run=2.0)
    axis = cost(STUDY, [one, other]).figure.axes[0]
    points = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines}
    assert (points["a"], points["b"]) == ((pytest.approx(3), 0.5), (2.0, 0.4))
    assert list(axis.lines[0].get_xdata()) == [2.0, 3.0], "neither beats the other in both"


def test_further_scores_of_an_arm_of_one_seed_are_told(tmp_path):
    workdir = make_run(tmp_path / "s/all/a-0", patients=9)
    run = told("a-0", 0) | {"steps": 300}
    also = ["delta_ccc", "accuracy_by_size 10 to 40", "no_such_score"]
    write_studies(tmp_path, [STUDY | {"seeds": [0], "runs": [run], "tried": [], "also": also}], ["s"])
    (one,) = (one for one in read(tmp_path).standings if one.kind == "arm")
    with (workdir / "eval/300/scores.csv").open() as file:
        rows = {f"{row['name']} {row['at']}".strip(): float(row["value"]) for row in csv.DictReader(file)}
    assert {row.name: row.value for row in one.also} == {name: pytest.approx(rows[name]) for name in also[:2]}


def test_a_difference_is_drawn_and_told_with_its_sd_over_seeds_however_long_names_are():
    names = [f"{'a_long_name_of_an_arm_' * 6}{at}" for at in range(3)]
    apart = Difference(Row("pairwise_accuracy", 0.1, 0.05, 0.15, 9, 9), 0.6, 0.5, 0.01, 0.02, 0.125)
    lines = [Standing("s", "all", name, "arm", "test", 5, 5, difference=apart, p_holm=0.01) for name in names]
    picture = forest(STUDY | {"arms": ["a", *names]}, lines)
    ticks = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert [(len(tick), tick[-1]) for tick in ticks] == [(30, "0"), (30, "1"), (30, "2")]
    picture.svg()  # where an axis has no room left, this warns
    cell = next(cell for cell in cells(lines[0]) if cell.text.startswith("+0.1"))
    assert cell.line == "+0.100 [+0.050, +0.150] (± 0.125 over seeds)"


def test_a_board_shows_the_last_part_of_a_path(tmp_path):
    study = STUDY | {"config": "/home/someone/secret/base.py", "budget": {"steps": 3}, "learning_rates": []}
    write_studies(tmp_path, [study | {"runs": [], "tried": []}], ["s"])
    page = write_board(tmp_path, tmp_path / "board").read_text()
    assert "base.py; 1 arm; 1 setting; 5 seeds" in page
    assert "secret" not in page


def test_a_learning_rate_that_could_not_be_tried_is_said(tmp_path):
    chosen, failed = told("a-lr0.1-0", 0, 0.1), told("a-lr0.9-0", 0, 0.9)
    score(tmp_path / chosen["id"])
    write_studies(tmp_path, [STUDY | {"seeds": [0], "runs": [chosen], "tried": [chosen, failed]}], ["s"])
    board = read(tmp_path)
    assert (board.unfinished, board.untried) == ([], ["s/all/a-lr0.9-0"])
    (warning,) = warnings(board)
    assert warning.startswith("Learning rates that could not be tried, so that their arms may do better: s/all/a-lr0.9")
    score(tmp_path / failed["id"])
    assert warnings(read(tmp_path)) == []
