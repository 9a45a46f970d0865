"""The pictures of a report, in their order; here those of embedding distance, trajectories and training loss.

Each draws one run of an arm, that of the first seed, and no more arms than there are colours.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
import polars as pl
from matplotlib.ticker import MaxNLocator

from learner_jax.report import cohort
from learner_jax.report.agreement import agreement
from learner_jax.report.arms import Arm
from learner_jax.report.confusion import confusion
from learner_jax.report.forest import differences, forest
from learner_jax.report.picture import (
    COLOURS,
    GREY,
    INK,
    MANY,
    MARKERS,
    PALE,
    STYLE,
    Mark,
    Picture,
    head,
    left_out,
    legend,
    panels,
)
from learner_jax.report.psychometric import psychometric
from learner_jax.report.reliability import reliability
from learner_jax.report.runs import Run
from learner_jax.report.spread import spread
from learner_jax.report.study import Study
from learner_jax.report.titles import interval, number
from learner_jax.report.vitals import vitals

_PATIENTS = 12  # whose trajectories are shown: what fits a page
_VISIT = ("visit", "time_days", "score", "predicted")


def draw(study: Study) -> dict[str, list[Picture]]:
    """All pictures that there are data for, by the section of the page that they stand in."""
    arms = study.arms
    with matplotlib.rc_context(STYLE):
        sections = {
            "figures": [
                forest(study),
                differences(study),
                psychometric(arms),
                *(distance(arms), spread(arms), trajectories(arms)),
                *(confusion(arms), reliability(arms), agreement(arms)),
            ],
            "cohort": [cohort.scores(arms[0].first)],
            "training": [loss(arms), vitals(arms)],
        }
    return {name: [picture for picture in own if picture is not None] for name, own in sections.items()}


def distance(arms: Sequence[Arm]) -> Picture | None:
    """The paper's picture: distance between a fine pair's embeddings against its |Δscore|, one panel per arm.

    Source: arXiv 2411.01144 v2, figure 1, whose axes and pairs these are. The median, in bins of equal count, and the
    interval are our addition.
    """
    drawn = arms[: len(COLOURS)]
    shown = [arm for arm in drawn if _moved(arm.first)[0].size]
    if not shown:
        return None
    figure, axes = panels(len(shown), columns=min(len(shown), 3), width=3.5, height=3.2)
    marks, tables = [], []
    for axis, arm in zip(axes, shown, strict=False):
        moved, apart = _moved(arm.first)
        colour = COLOURS[drawn.index(arm)]
        many = moved.size > MANY
        size, alpha = (5, 0.2) if many else (14, 0.45)
        axis.scatter(moved, apart, size, color=colour, alpha=alpha, linewidths=0, rasterized=many, label="fine pair")
        axis.plot(
            *binned_median(moved, apart), color=INK, marker="o", markersize=4, linewidth=1.6, label="binned median"
        )
        threshold = arm.first.scores.get("change_threshold")
        if threshold is not None:
            axis.axvline(threshold, color=GREY, linestyle="--", linewidth=1.1, label="change threshold")
        axis.set_title(f"{head(arm.title)}\nSpearman ρ {_rho(arm)}", loc="left")
        table = _apart(arm.first)
        tables.append(table.select(pl.lit(arm.name).alias("arm"), pl.all()))
        if not many:
            told = (f"{one['patient']}, visits {one['visit_1']} and {one['visit_2']}" for one in table.to_dicts())
            told = (
                f"{pair}: Δ {delta:.4g}, distance {far:.3g}"
                for pair, delta, far in zip(told, moved, apart, strict=True)
            )
            marks += [Mark(axis, x, y, text) for x, y, text in zip(moved, apart, told, strict=True)]
    axes[0].set_ylim(bottom=0)
    score, pair = arms[0].first.score_name, "scans" if arms[0].first.scores.get("pairs") == "scans" else "visits"
    figure.supxlabel(f"|Δ {score}| between the two {pair}", fontsize=9)
    figure.supylabel("cosine distance of the embeddings", fontsize=9)
    legend(figure, axes[0], grey=1)
    return Picture(
        name="distance",
        title="Does the embedding move when the patient does?",
        alt=f"Scatter plots, one per arm: cosine distance between the embeddings of the two {pair} of a fine pair "
        f"against the absolute difference of their {score}. "
        + " ".join(f"{arm.title}: Spearman ρ {_rho(arm)}." for arm in shown),
        caption=f"Each point is one pair of {pair} of a held-out patient. The wanted picture rises from left to right: "
        "the more the score moved, the further apart the embeddings lie. Axes are shared; ρ does not depend on "
        "an arm's scale of distances. Its interval is over patients. The line joins the medians of bins of "
        f"equal count.{left_out(arms)}",
        figure=figure,
        numbers=pl.concat(tables),
        marks=marks,
    )


def trajectories(arms: Sequence[Arm]) -> Picture | None:
    """Score over time, true and predicted by each arm, of patients spread over the range of true movement."""
    drawn = arms[: len(COLOURS)]
    tables = [_held_out(arm.first) for arm in drawn]
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
            axis.plot(_column(own, "time_days"), _column(own, "predicted"), alpha=0.9, label=arm.title, **style)
            for one in own.drop_nulls("predicted").to_dicts():
                marks.append(Mark(axis, one["time_days"], one["predicted"], f"{arm.name}: {_visit(one)}"))
                rows.append((arm.name, patient[:8], *(one[name] for name in _VISIT)))
        axis.plot(
            _column(true, "time_days"), _column(true, "score"), color=INK, marker="o", markersize=4.5, linewidth=1.8,
            label=f"measured {first.score_name}",
        )  # fmt: skip
        for one in true.drop_nulls("score").to_dicts():
            marks.append(Mark(axis, one["time_days"], one["score"], f"measured: {_visit(one)}"))
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


def loss(arms: Sequence[Arm]) -> Picture | None:
    """Training loss over steps, one panel per arm: losses of different objectives share no unit."""
    curves = {arm: _curve(arm.first) for arm in arms[: len(COLOURS)]}
    shown = [arm for arm, (steps, _) in curves.items() if steps.size > 1]
    if not shown:
        return None
    figure, axes = panels(len(shown), columns=min(len(shown), 3), width=3.5, height=2.2, share=False)
    for axis, arm in zip(axes, shown, strict=False):
        steps, values = curves[arm]
        colour = COLOURS[arms.index(arm)]
        axis.plot(steps, values, color=colour, alpha=0.35, linewidth=0.9, label="as logged")
        axis.plot(steps, _smooth(values), color=colour, linewidth=1.8, label="running mean")
        axis.set_title(head(arm.title), loc="left")
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("training loss", fontsize=9)
    legend(figure, axes[0], grey=2)
    ends = " ".join(f"{arm.title}: from {curves[arm][1][0]:.3g} to {curves[arm][1][-1]:.3g}." for arm in shown)
    return Picture(
        name="loss",
        title="Training loss",
        alt=f"Line plots of the training loss over steps, one per arm. {ends}",
        caption="Compare the shapes, not the heights: objectives measure different things. The darker line is a "
        f"running mean over a tenth of the points.{left_out(arms)}",
        figure=figure,
        numbers=pl.DataFrame(
            [(arm.name, int(step), value) for arm in shown for step, value in zip(*curves[arm], strict=True)],
            ["arm", "step", "loss"],
            orient="row",
        ),
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


def binned_median(x: np.ndarray, y: np.ndarray, bins: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Medians of x and y in bins of x of (nearly) equal count, each of at least 5 points where there are as many."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, max(1, min(bins, x.size // 5)) + 1)))
    which = np.searchsorted(edges[1:-1], x, side="right")
    groups = [which == at for at in np.unique(which)]
    return np.array([np.median(x[g]) for g in groups]), np.array([np.median(y[g]) for g in groups])


def _apart(run: Run) -> pl.DataFrame:
    pairs = run.pairs.drop_nulls(["delta", "distance"])
    visits = pl.col("visit_1", "visit_2").cast(pl.Int64)
    return pairs.select(pl.col("patient").str.head(8), visits, "days", "delta", "distance")


def _moved(run: Run) -> tuple[np.ndarray, np.ndarray]:
    pairs = _apart(run)
    return np.abs(pairs["delta"].to_numpy()), pairs["distance"].to_numpy()


def _held_out(run: Run) -> pl.DataFrame:
    """One row per visit of test patients, in time."""
    test = run.observations.filter(pl.col("split") == "test")
    return test.group_by("patient", "visit", "time_days").agg(pl.col("score", "predicted").mean()).sort(
        "patient", "time_days", "visit"
    )  # fmt: skip


def _curve(run: Run) -> tuple[np.ndarray, np.ndarray]:
    points = [(line["step"], line["loss"]) for line in run.metrics if line.get("loss") is not None]
    return tuple(np.array(points, float).reshape(-1, 2).T)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a tenth of the points, half of them on either side, and fewer at the ends."""
    width, at = max(1, values.size // 20), np.arange(values.size)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first, last = np.maximum(at - width, 0), np.minimum(at + width + 1, values.size)
    return (sums[last] - sums[first]) / (last - first)


def _column(table: pl.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy()


def _rho(arm: Arm) -> str:
    return interval(arm.first.rows.get("embedding_distance_spearman"))


def _visit(one: dict) -> str:
    score, said = ("unknown" if one[name] is None else f"{one[name]:.4g}" for name in ("score", "predicted"))
    return f"visit {one['visit']:g}, day {one['time_days'] or 0:g}: score {score}, predicted {said}"
