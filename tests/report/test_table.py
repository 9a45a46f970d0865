import io
import json

import numpy as np
from rich.console import Console

from learner_jax.evaluators.analyses import ceiling
from learner_jax.evaluators.statistics.bootstrap import Replicates
from learner_jax.evaluators.statistics.intervals import make_row
from learner_jax.report.study import read_study
from learner_jax.report.table import make_table, to_terminal
from learner_jax.report.titles import CHANGE, ORDER, interval


def edit_floors(run, change):
    path = run / "eval" / "floors.json"
    floors = json.loads(path.read_text())
    change(floors["rows"])
    path.write_text(json.dumps(floors))


def edit_rows(run, change):
    path = run / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    change({row["name"]: row for row in scores["rows"]})
    path.write_text(json.dumps(scores))


def in_terminal(table) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(to_terminal(table))
    return out.getvalue()


def test_terminal_shows_every_headline_number_within_80_columns(demo):
    study = read_study(demo)
    text = in_terminal(make_table(study))
    for run in study.runs:
        for name in ("pairwise_accuracy", "macro_f1", "kendall_tau_b"):
            assert interval(run.rows[name]) in text
    assert "35 patients" in text
    assert "210 pairs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_arms_come_first_in_the_order_of_the_folder(demo):
    lines = make_table(read_study(demo)).lines
    assert [line.name for line in lines if line.kind == "arm"] == ["combined", "contrastive", "mse"]
    assert [line.kind for line in lines] == ["arm"] * 3 + ["floor"] * 5
    assert [line.label for line in lines[:3]] == ["contrastive + MSE", "contrastive alone", "MSE alone"]


def test_n_moves_to_the_cells_where_lines_differ(demo):
    def change(rows):
        rows["pixels"][0]["n_pairs"] = 7

    for run in ("combined", "contrastive", "mse"):
        edit_floors(demo / run, change)
    table = make_table(read_study(demo))
    assert [column.n for column in table.columns] == ["", "35 patients, 210 pairs", "35 patients, 210 pairs"]
    pixels = next(line for line in table.lines if line.name == "raw pixels")
    assert pixels.cells[0].n == "35 patients, 7 pairs"
    assert "7 pairs" in in_terminal(table)


def test_a_cohort_without_fine_pairs_shows_coarse_scores_and_says_why(run_at, tmp_path):
    run_at(tmp_path / "one", fine=False)
    table = make_table(read_study(tmp_path / "one"))
    assert [column.name for column in table.columns] == ["coarse_c_index", "score_mae", "score_spearman"]
    assert table.notes == ("no fine pairs: 35 patients, 1 visit each",)


def test_seeds_fit_into_80_columns_too(seeds):
    table = make_table(read_study(seeds))
    text = in_terminal(table)
    assert max(map(len, text.splitlines())) <= 80
    assert "±" in table.lines[0].cells[0].text
    assert table.lines[0].cells[0].spread in text
    assert "3 seeds" in text


def test_a_column_that_nobody_has_a_row_of_is_left_out(demo):
    for run in ("combined", "contrastive", "mse"):
        path = demo / run / "eval" / "300" / "scores.json"
        scores = json.loads(path.read_text())
        scores["rows"] = [row for row in scores["rows"] if row["name"] != "brier"]
        path.write_text(json.dumps(scores))
        edit_floors(demo / run, lambda rows: [rows[name].pop(8) for name in rows])
    assert [column.name for column in make_table(read_study(demo), CHANGE).columns] == [
        name for name in CHANGE if name != "brier"
    ]


def test_columns_say_chance_or_direction(demo):
    columns = make_table(read_study(demo), ORDER).columns
    assert columns[0].head == "pairwise accuracy, chance 0.5, 35 patients, 210 pairs"
    assert columns[-1].head == "|Δscore| ordered right 75 %, in sf_ratio, lower is better, 35 patients, 210 pairs"


def test_what_concerns_all_intervals_of_a_column_is_said_below_it_and_not_in_its_cells(demo):
    lost = "107 of 2000 resamples left it undefined and are left out"
    for run in ("combined", "contrastive", "mse"):
        edit_rows(demo / run, lambda rows: rows["macro_f1"].update(note=lost))
        edit_floors(demo / run, lambda rows: [row[5].update(note=lost) for row in rows.values()])
    edit_rows(demo / "mse", lambda rows: rows["pairwise_accuracy"].update(note=lost))
    table = make_table(read_study(demo))
    assert table.column_notes == (f"three-way macro-F1: {lost}.",)
    assert {line.cells[1].note for line in table.lines} == {""}
    assert [line.cells[0].note for line in table.lines][:3] == ["", "", lost]


def test_one_reason_for_all_dashes_of_a_column_is_said_below_it(demo):
    why = "undefined: no pair rises, or none falls, by more than the threshold"
    for run in ("combined", "mse"):
        edit_rows(demo / run, lambda rows: rows["direction_auroc"].update(value=None, low=None, high=None, note=why))
    edit_rows(demo / "mse", lambda rows: rows["rm_correlation"].update(value=None, low=None, high=None, note="of mse"))
    edit_rows(demo / "combined", lambda rows: rows["rm_correlation"].update(value=None, low=None, high=None, note="x"))
    table = make_table(read_study(demo), ORDER)
    assert table.column_notes == (f"A – under direction AUROC is {why}.",)
    assert table.lines[0].cells[1].text == "–"
    assert [line.cells[3].note for line in table.lines][:3] == ["x", "", "of mse"]


def test_a_score_that_nobody_asked_of_a_floor_is_no_dash(demo):
    for run in ("combined", "contrastive", "mse"):
        edit_floors(demo / run, lambda rows: rows["first_visit"].pop(8))
    table = make_table(read_study(demo), CHANGE)
    line = next(line for line in table.lines if line.name == "first score alone")
    assert [cell.text for cell in line.cells].index("") == 3


def few(patients: int) -> str:
    """The evaluator's own words."""
    rng = np.random.default_rng(0)
    found = Replicates(0.5, rng.normal(0.5, 0.1, 200), rng.normal(0.5, 0.01, 9))
    return make_row("x", found, method="percentile", confidence=0.95, n_patients=patients, n_pairs=9).note


def test_few_patients_are_a_warning_and_not_a_note_in_every_cell(demo):
    said = few(12)
    for run in ("combined", "contrastive", "mse"):
        edit_rows(demo / run, lambda rows: [row.update(note=said, n_patients=12) for row in rows.values()])
    table = make_table(read_study(demo))
    assert table.notes == (f"{said}.",)
    assert table.notes[0].startswith("12 patients: with fewer than 30")
    assert {cell.note for line in table.lines for cell in line.cells} == {""}
    assert table.column_notes == ()
    assert in_terminal(table).count("fewer") == 0
    edit_rows(demo / "mse", lambda rows: rows["macro_f1"].update(note=few(9), n_patients=9))
    for run in ("combined", "contrastive"):
        edit_rows(demo / run, lambda rows: rows["macro_f1"].update(note=""))
    assert make_table(read_study(demo)).notes == (f"{said}.", f"{few(9)} (three-way macro-F1).")


def test_few_patients_behind_one_score_are_said_of_that_score(demo):
    lost = "3 of 2000 resamples left it undefined and are left out"
    edit_rows(demo / "mse", lambda rows: rows["macro_f1"].update(note=f"{few(9)}; {lost}", n_patients=9))
    table = make_table(read_study(demo))
    assert table.notes == (f"{few(9)} (three-way macro-F1).",)
    assert [line.cells[1].note for line in table.lines][:3] == ["", "", lost]
    assert few(30) == ""


def test_a_score_without_an_interval_is_explained_once_below(demo):
    """By the words of the evaluator, which the table must recognise."""
    ones = np.ones(50, np.float32)
    alike = make_row(
        "macro_f1", Replicates(1.0, ones, ones), method="percentile", confidence=0.95, n_patients=36, n_pairs=9
    )
    sentence = "Where an arm or a floor has no interval, every resample of the patients gives the same score."
    assert sentence not in make_table(read_study(demo)).below
    for run in ("combined", "mse"):
        edit_rows(demo / run, lambda rows: rows["macro_f1"].update(value=1.0, low=None, high=None, note=alike.note))
    table = make_table(read_study(demo))
    assert table.below[0] == sentence
    edit_floors(demo / "mse", lambda rows: rows["pixels"][0].update(low=None, high=None, note=ceiling._NO_INTERVAL))
    why = "how much true scores vary is estimated from the same patients"
    assert f"The raw pixels has no interval: {why}." in make_table(read_study(demo)).below
    cells = {line.name: line.cells[1] for line in table.lines}
    assert [(cells[name].value, cells[name].note) for name in ("combined", "mse")] == [("1.00", "")] * 2
