import xml.etree.ElementTree as ET

import polars as pl
import pytest

from learner_jax.report.study import read_study
from learner_jax.report.trajectories import choose_patients, trajectories


def observations(movements: dict[str, float]) -> pl.DataFrame:
    rows = [(name, visit, 100 + visit * moved) for name, moved in movements.items() for visit in (0, 1)]
    return pl.DataFrame(rows, schema=["patient", "visit", "score"], orient="row")


def test_patients_are_spread_over_movement_from_least_to_most():
    world = observations({f"p{at:03}": float(at) for at in range(101)})
    chosen = choose_patients(world.sample(fraction=1, shuffle=True, seed=1), count=5)
    assert chosen == [("p000", 0.0), ("p025", 25.0), ("p050", 50.0), ("p075", 75.0), ("p100", 100.0)]


def test_patients_with_one_visit_or_unlabeled_visits_are_not_chosen():
    world = observations({"a": 1.0, "b": 2.0, "c": 3.0}).with_columns(
        pl.when((pl.col("patient") == "b") & (pl.col("visit") == 1))
        .then(None)
        .otherwise(pl.col("score"))
        .alias("score")
    )
    assert [patient for patient, _ in choose_patients(world, count=12)] == ["a", "c"]
    assert choose_patients(world.clear()) == []


def test_no_patient_is_named_beyond_eight_characters(demo):
    arms = read_study(demo).arms
    svg = trajectories(arms).svg()
    for patient in arms[0].first.observations["patient"].unique():
        assert patient[:9] not in svg


def test_marks_lie_on_what_is_drawn_and_tell_visit_time_score_and_prediction(demo):
    arms = read_study(demo).arms
    picture = trajectories(arms)
    document = ET.fromstring(picture.svg())
    circles = [element for element in document.iter() if element.get("class") == "mark"]
    assert [circle.get("data-told") for circle in circles] == [mark.told for mark in picture.marks]
    width, height = (float(size) for size in document.get("viewBox").split()[2:])
    pixels = [mark.axis.transData.transform((mark.x, mark.y)) / picture.figure.bbox.size for mark in picture.marks]
    for circle, (x, y) in zip(circles, pixels, strict=True):
        assert float(circle.get("cx")) == pytest.approx(x * width, abs=0.06)
        assert float(circle.get("cy")) == pytest.approx((1 - y) * height, abs=0.06)
    seen = arms[0].first.observations
    for row in picture.numbers.filter(pl.col("arm") == "combined").to_dicts():
        said = f"score {row['score']:.4g}, predicted {row['predicted']:.4g}"
        told = f"combined: visit {row['visit']:g}, day {row['time_days']:g}: {said}"
        assert told in [mark.told for mark in picture.marks]
        of_patient = seen.filter(pl.col("patient").str.starts_with(row["patient"]) & (pl.col("visit") == row["visit"]))
        assert of_patient["predicted"].item() == row["predicted"]
