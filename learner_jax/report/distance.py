"""The paper's picture: does the embedding move when the patient does?"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, GREY, INK, MANY, Mark, Picture, head, left_out, legend, panels
from learner_jax.report.runs import Run
from learner_jax.report.titles import interval


def distance(arms: Sequence[Arm]) -> Picture | None:
    """The distance between the embeddings of a fine pair against its |Δscore|, one panel per arm.

    Source: arXiv 2411.01144 v2, figure 1, for the axes and the pairs. The medians, in bins of equal count, and the
    interval are our additions.
    """
    drawn = enumerate(arms[: len(COLOURS)])
    shown = [(at, arm, pairs) for at, arm in drawn if (pairs := known_pairs(arm.first)).height]
    if not shown:
        return None
    figure, axes = panels(len(shown), columns=min(len(shown), 3), width=3.5, height=3.2)
    marks = []
    for axis, (at, arm, pairs) in zip(axes, shown, strict=False):
        moved, apart = pairs["delta"].abs().to_numpy(), pairs["distance"].to_numpy()
        many = moved.size > MANY
        size, alpha = (5, 0.2) if many else (14, 0.45)
        style = {"color": COLOURS[at], "alpha": alpha, "linewidths": 0, "rasterized": many}
        axis.scatter(moved, apart, size, label="fine pair", **style)
        style = {"color": INK, "marker": "o", "markersize": 4, "linewidth": 1.6}
        axis.plot(*binned_median(moved, apart), label="binned median", **style)
        threshold = arm.first.scores.get("change_threshold")
        if threshold is not None:
            axis.axvline(threshold, color=GREY, linestyle="--", linewidth=1.1, label="change threshold")
        axis.set_title(f"{head(arm.title)}\nSpearman ρ {_rho(arm)}", loc="left")
        if not many:
            for pair, x, y in zip(pairs.to_dicts(), moved, apart, strict=True):
                visits = f"{pair['patient']}, visits {pair['visit_1']} and {pair['visit_2']}"
                marks.append(Mark(axis, x, y, f"{visits}: Δ {x:.4g}, distance {y:.3g}"))
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
        + " ".join(f"{arm.title}: Spearman ρ {_rho(arm)}." for _, arm, _ in shown),
        caption=f"Each point is one pair of {pair} of a held-out patient. The ideal picture rises from left to right: "
        "the more the score moved, the further apart the embeddings lie. Axes are shared; ρ does not depend on "
        "an arm's scale of distances. Its interval is over patients. The line joins the medians of bins of "
        f"equal count.{left_out(arms)}",
        figure=figure,
        numbers=pl.concat([pairs.select(pl.lit(arm.name).alias("arm"), pl.all()) for _, arm, pairs in shown]),
        marks=marks,
    )


def known_pairs(run: Run) -> pl.DataFrame:
    """``patient, visit_1, visit_2, days, delta, distance`` of the scored pairs whose change and distance are known."""
    pairs = run.pairs.drop_nulls(["delta", "distance"])
    visits = pl.col("visit_1", "visit_2").cast(pl.Int64)
    return pairs.select(pl.col("patient").str.head(8), visits, "days", "delta", "distance")


def binned_median(x: np.ndarray, y: np.ndarray, bins: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Medians of x and y in bins of x of (nearly) equal count, each of at least 5 points where there are as many."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, max(1, min(bins, x.size // 5)) + 1)))
    which = np.searchsorted(edges[1:-1], x, side="right")
    groups = [which == at for at in np.unique(which)]
    return np.array([np.median(x[g]) for g in groups]), np.array([np.median(y[g]) for g in groups])


def _rho(arm: Arm) -> str:
    return interval(arm.first.rows.get("embedding_distance_spearman"))
