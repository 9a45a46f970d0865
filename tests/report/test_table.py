import csv
import io
import json

import pytest
from rich.console import Console

from learner_jax.report.runs import Row, find_runs, load
from learner_jax.report.table import interval, make_table, number, to_terminal, write_csv


def loaded(folder):
    return [load(run) for run in find_runs(folder)]


def edit_floors(run, change):
    path = run / "eval" / "floors.json"
    floors = json.loads(path.read_text())
    change(floors["rows"])
    path.write_text(json.dumps(floors))


def in_terminal(table) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(to_terminal(table))
    return out.getvalue()


def test_csv_holds_the_numbers_of_the_files(demo, tmp_path):
    write_csv(tmp_path / "table.csv", loaded(demo))
    with (tmp_path / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for run in ("combined", "contrastive", "mse"):
        written = {line["name"]: line for line in lines if line["arm"] == run and line["kind"] == "arm"}
        source = json.loads((demo / run / "eval" / "300" / "scores.json").read_text())["rows"]
        assert list(written) == [row["name"] for row in source]
        for row in source:
            for field in ("value", "low", "high", "n_patients", "n_pairs"):
                assert float(written[row["name"]][field]) == row[field]


def test_terminal_shows_every_headline_number_within_80_columns(demo):
    runs = loaded(demo)
    text = in_terminal(make_table(runs))
    for run in runs:
        for name in ("pairwise_accuracy", "macro_f1", "kendall_tau_b"):
            assert interval(run.rows[name]) in text
    assert "35 patients" in text
    assert "210 pairs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_arms_come_first_in_the_order_of_the_folder(demo):
    lines = make_table(loaded(demo)).lines
    assert [line.name for line in lines if line.kind == "arm"] == ["combined", "contrastive", "mse"]
    assert [line.kind for line in lines] == ["arm"] * 3 + ["floor"] * 4
    assert [line.label for line in lines[:3]] == ["contrastive + MSE", "contrastive alone", "MSE alone"]


def test_floors_that_agree_are_shown_once_and_others_name_their_run(demo):
    def change(rows):
        rows["random_init"][0]["value"] = 0.123

    edit_floors(demo / "mse", change)
    floors = [(line.name, line.label) for line in make_table(loaded(demo)).lines if line.kind == "floor"]
    assert floors == [
        ("majority class", ""),
        ("time alone", ""),
        ("raw pixels", ""),
        ("untrained backbone", "of combined, contrastive"),
        ("untrained backbone", "of mse"),
    ]


def test_n_moves_to_the_cells_where_lines_differ(demo):
    def change(rows):
        rows["pixels"][0]["n_pairs"] = 7

    for run in ("combined", "contrastive", "mse"):
        edit_floors(demo / run, change)
    table = make_table(loaded(demo))
    assert [column.n for column in table.columns] == ["", "35 patients, 210 pairs", "35 patients, 210 pairs"]
    pixels = next(line for line in table.lines if line.name == "raw pixels")
    assert pixels.cells[0].n == "35 patients, 7 pairs"
    assert "7 pairs" in in_terminal(table)


def test_a_cohort_without_fine_pairs_shows_coarse_scores_and_says_why(run_at, tmp_path):
    run_at(tmp_path / "one", fine=False)
    table = make_table(loaded(tmp_path / "one"))
    assert [column.name for column in table.columns] == ["coarse_c_index", "score_mae", "score_spearman"]
    assert table.notes == ("no fine pairs: 35 patients, 1 visit each",)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Row("x", 0.714, 0.66, 0.751, 4, 9), "0.71 [0.66, 0.75]"),
        (Row("x", -0.02, -0.1, -0.001, 4, 9), "−0.02 [−0.10, 0.00]"),
        (Row("x", 0.5, None, None, 1, 9), "0.50"),
        (Row("x", None, None, None, 0, 0, "no pairs"), "–"),
        (None, "–"),
    ],
)
def test_interval(row, text):
    assert interval(row) == text


def test_number_has_no_negative_zero():
    assert number(-0.0001) == "0.00"
