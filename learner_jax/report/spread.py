"""The paper's other picture: how the embeddings of visits are spread, and whether the score runs through them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, MANY, Mark, Picture, head, left_out, panels
from learner_jax.report.runs import Run

_MAP = "cividis"  # readable for the colour-blind, and ordered by lightness


def spread(arms: Sequence[Arm]) -> Picture | None:
    """Held-out visits along the two directions in which training embeddings vary most, coloured by score.

    Source: arXiv 2411.01144 v1, figure 1, which shows that the contrastive loss spreads embeddings more than MSE alone.
    How the paper projects them to a plane is unknown to us; principal directions of unit-length embeddings are our
    reading.
    """
    shown = [(arm, table) for arm in arms[: len(COLOURS)] if (table := places(arm.first)).height > 2]
    if not shown:
        return None
    score = arms[0].first.score_name
    scores = pl.concat([table["score"] for _, table in shown])
    scale = ScalarMappable(Normalize(scores.min(), scores.max()), _MAP)
    figure, axes = panels(len(shown), columns=min(len(shown), 3), width=3.3, height=3.0)
    marks = []
    for axis, (arm, table) in zip(axes, shown, strict=False):
        x, y, values = (table[name].to_numpy() for name in ("axis_1", "axis_2", "score"))
        many = len(x) > MANY
        axis.scatter(x, y, 6 if many else 16, c=scale.to_rgba(values), linewidths=0, alpha=0.85, rasterized=many)
        axis.set_title(f"{head(arm.title)}\n{_told(table)}", loc="left")
        if not many:
            marks += [
                Mark(axis, one["axis_1"], one["axis_2"], f"{one['patient']}, visit {one['visit']}: {one['score']:.4g}")
                for one in table.to_dicts()
            ]
    figure.supxlabel("first principal direction", fontsize=9)
    figure.supylabel("second", fontsize=9)
    figure.colorbar(scale, ax=axes, label=score, shrink=0.8, pad=0.02)
    return Picture(
        name="spread",
        title="Does the score run through the embedding?",
        alt=f"Scatter plots, one per arm: embeddings of held-out visits in a plane, coloured by {score}. "
        + " ".join(f"{arm.title}: {_told(table)}." for arm, table in shown),
        caption="Each point is a visit of a held-out patient. Embeddings are scaled to length 1, as cosine distance "
        "sees them; the axes are the two directions along which those of training visits vary most, the same scale in "
        "every panel. A cloud that has shrunk to a point is a collapse; the ideal is a cloud that changes colour along "
        f"its length.{left_out(arms)}",
        figure=figure,
        numbers=pl.concat([table.select(pl.lit(arm.name).alias("arm"), pl.all()) for arm, table in shown]),
        marks=marks,
    )


def places(run: Run) -> pl.DataFrame:
    """``patient, visit, score, axis_1, axis_2`` of labeled test visits; empty for evaluations without these axes."""
    known = run.observations.filter(pl.col("split") == "test").drop_nulls(["score", "axis_1", "axis_2"])
    about = (pl.col("patient").str.head(8), pl.col("visit").cast(pl.Int64))
    return known.select(*about, "score", "axis_1", "axis_2")


def _told(table: pl.DataFrame) -> str:
    """Share of the score's variance that is linear in the plane; 0 if all points coincide."""
    at, score = table.select("axis_1", "axis_2").to_numpy(), table["score"].to_numpy()
    design = np.column_stack([np.ones(len(at)), at])
    left = score - design @ np.linalg.lstsq(design, score, rcond=None)[0]
    total = np.square(score - score.mean()).sum()
    r2 = 1 - np.square(left).sum() / total if total > 0 else 0.0
    return f"the plane explains {100 * max(r2, 0):.0f} % of the score"
