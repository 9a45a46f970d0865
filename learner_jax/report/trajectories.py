"""Patients over time: measured scores beside the prediction of each arm."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.ticker import MaxNLocator

from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, INK, MARKERS, PALE, Mark, Picture, left_out, legend, panels
from learner_jax.report.runs import Run
from learner_jax.report.titles import number

_PATIENTS = 12  # what fits on a page
_VISIT = ("visit", "time_days", "score", "predicted")


def trajectories(arms: Sequence[Arm]) -> Picture | None:
    """Score over time, true and predicted by each arm, of patients spread over the range of true movement."""
    drawn = arms[: len(COLOURS)]
    tables = [_test_visits(arm.first) for arm in drawn]
    at_first = next((at for at, table in enumerate(tables) if table.height), 0)
    first = drawn[at_first].first
    patients = choose_patients(tables[at_first]) if first.scores.get("pairs") != "scans" else []
    if not patients:
        return None
    figure, axes = panels(len(patients), columns=min(len(patients), 4), width=2.6, height=1.95)
    threshold = first.scores.get("change_threshold")
    marks, rows = [], []
    for axis, (patient, movement) in zip(axes, patients, strict=False):
        true = tables[at_first].filter(pl.col("patient") == patient)
        start = true["score"].drop_nulls()[0]
        if threshold is not None:
            axis.axhspan(start - threshold, start + threshold, color=PALE, linewidth=0, label="counts as stable")
        for at, arm in enumerate(drawn):
            own = tables[at].filter(pl.col("patient") == patient)
            style = {"color": COLOURS[at], "marker": MARKERS[at], "markersize": 4, "linewidth": 1.2}
            days, predicted = own["time_days"].to_numpy(), own["predicted"].to_numpy()
            axis.plot(days, predicted, alpha=0.9, label=arm.title, **style)
            for visit in own.drop_nulls("predicted").to_dicts():
                marks.append(Mark(axis, visit["time_days"], visit["predicted"], f"{arm.name}: {_told(visit)}"))
                rows.append((arm.name, patient[:8], *(visit[name] for name in _VISIT)))
        style = {"color": INK, "marker": "o", "markersize": 4.5, "linewidth": 1.8}
        days, scores = true["time_days"].to_numpy(), true["score"].to_numpy()
        axis.plot(days, scores, label=f"measured {first.score_name}", **style)
        for visit in true.drop_nulls("score").to_dicts():
            marks.append(Mark(axis, visit["time_days"], visit["score"], f"measured: {_told(visit)}"))
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axis.set_title(f"{patient[:8]} · moved {number(movement, 1)}", loc="left", fontsize=8.5)
    figure.supxlabel("days since the patient's first visit", fontsize=9)
    figure.supylabel(first.score_name, fontsize=9)
    legend(figure, axes[0])
    return Picture(
        name="trajectories",
        title="Patients over time",
        alt=f"Small panels, one for each of {len(patients)} held-out patients: measured {first.score_name} by visit "
        f"as a black line and the prediction of {', '.join(arm.title for arm in drawn)} as coloured lines.",
        caption="Patients are chosen by a rule, not by hand: held-out patients with at least two visits are ordered by "
        f"how far their measured score moved (largest minus smallest) and {len(patients)} are taken at equal steps, "
        "from the one that moved least to the one that moved most. The grey band is the first visit's score ± the "
        f"change threshold. Patients are named by the first 8 characters of a keyed hash.{left_out(arms)}",
        figure=figure,
        numbers=pl.DataFrame(rows, ["arm", "patient", *_VISIT], orient="row", infer_schema_length=None),
        marks=marks,
    )


def choose_patients(observations: pl.DataFrame, count: int = _PATIENTS) -> list[tuple[str, float]]:
    """``(patient, movement)`` of patients at equal steps of their order by movement (largest minus smallest score)."""
    moved = (
        observations.drop_nulls("score")
        .group_by("patient")
        .agg((pl.col("score").max() - pl.col("score").min()).alias("movement"), pl.len().alias("visits"))
        .filter(pl.col("visits") >= 2)
        .sort("movement", "patient")
    )
    picked = np.unique(np.linspace(0, moved.height - 1, min(count, moved.height)).round().astype(int))
    return [(moved["patient"][int(at)], moved["movement"][int(at)]) for at in picked]


def _test_visits(run: Run) -> pl.DataFrame:
    """One row per visit of the test patients, in order of time."""
    test = run.observations.filter(pl.col("split") == "test")
    visits = test.group_by("patient", "visit", "time_days").agg(pl.col("score", "predicted").mean())
    return visits.sort("patient", "time_days", "visit")


def _told(visit: dict) -> str:
    score, predicted = ("unknown" if visit[name] is None else f"{visit[name]:.4g}" for name in ("score", "predicted"))
    return f"visit {visit['visit']:g}, day {visit['time_days'] or 0:g}: score {score}, predicted {predicted}"
