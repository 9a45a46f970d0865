import json

import numpy as np

from learner_jax.report.cohort import card, facts, scores
from learner_jax.report.runs import load


def test_the_card_has_what_the_evaluator_counted_and_the_spread_of_the_scores(demo):
    run = load(demo / "mse")
    head, rows = card(run)
    assert head == ["", "train", "validation", "test"]
    named = {name: values for name, *values in rows}
    assert named["patients"] == ["77", "5", "35"]
    assert named["scans"] == ["616", "40", "280"]
    assert named["view L1"] == ["308", "20", "140"]
    test = run.observations.filter(run.observations["split"] == "test")["score"].to_numpy()
    assert named["sf_ratio, median (range)"][2] == f"{np.median(test):.4g} ({test.min():.4g} to {test.max():.4g})"
    assert named["sf_ratio, median (range)"][0] == "–", "no training visit is among the observations"
    told = dict(facts(run))
    assert told["scans"] == "ultrasound, 8 frames of 64×64, 1 channel"
    assert told["views"] == "L1, R1"
    assert told["fingerprint of the split"] == "8f00b204"


def test_an_evaluation_from_before_scans_were_counted_has_patients_and_visits(demo):
    path = demo / "mse" / "eval" / "300" / "scores.json"
    values = json.loads(path.read_text())
    del values["cohort"]
    path.write_text(json.dumps(values))
    head, rows = card(load(demo / "mse"))
    assert head == ["", "validation", "test"]
    assert [row[0] for row in rows] == ["patients", "visits", "sf_ratio, median (range)"]
    assert rows[0][1:] == ("5", "35")
    assert rows[1][1:] == ("20", "140")


def test_histograms_hold_every_visit_and_every_pair(demo):
    run = load(demo / "mse")
    picture = scores(run)
    table = picture.numbers
    totals = {name: sum(row["count"] for row in table.to_dicts() if row["of"] == name) for name in set(table["of"])}
    assert totals == {"validation": 20, "test": 140, "difference of a test pair": run.pairs.height}
    stable = np.mean(np.abs(run.pairs["delta"].to_numpy()) <= 30)
    assert f"{100 * stable:.0f} % count as stable." in picture.alt
