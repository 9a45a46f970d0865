"""The Bland–Altman plot: how far predicted differences are from true ones, over their size."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from learner_jax.evaluators.rows import Row
from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, GREY, INK, MANY, Mark, Picture, head, left_out, legend, panels
from learner_jax.report.runs import Run
from learner_jax.report.titles import number

LINES = {"bland_altman_bias": "mean", "bland_altman_low": "limits of agreement", "bland_altman_high": ""}


def agreement(arms: Sequence[Arm]) -> Picture | None:
    """Predicted minus true Δscore against their mean, one panel per arm, with the mean and the limits of agreement.

    Source: Bland and Altman (1986), doi 10.1016/S0140-6736(86)90837-8.
    """
    drawn = arms[: len(COLOURS)]
    shown = [arm for arm in drawn if limits(arm.first) and differences(arm.first).height]
    if not shown:
        return None
    score = arms[0].first.score_name
    figure, axes = panels(len(shown), columns=min(len(shown), 3), width=3.5, height=2.9)
    marks, tables = [], []
    for axis, arm in zip(axes, shown, strict=False):
        table, many = differences(arm.first), differences(arm.first).height > MANY
        x, y = table["mean"].to_numpy(), table["difference"].to_numpy()
        size, alpha = (5, 0.2) if many else (12, 0.45)
        colour = COLOURS[drawn.index(arm)]
        axis.scatter(x, y, size, color=colour, alpha=alpha, linewidths=0, rasterized=many, label="fine pair")
        for name, row in limits(arm.first).items():
            bias = name == "bland_altman_bias"
            axis.axhline(row.value, color=INK, linewidth=1.3, linestyle="-" if bias else "--", label=LINES[name])
            if row.low is not None:
                axis.axhspan(row.low, row.high, color=GREY, alpha=0.15, linewidth=0)
        axis.set_title(f"{head(arm.title)}\n{_told(arm.first)}", loc="left")
        if not many:
            marks += [Mark(axis, one["mean"], one["difference"], _pair(one)) for one in table.to_dicts()]
        tables.append(table.select(pl.lit(arm.name).alias("arm"), pl.all()))
    figure.supxlabel(f"mean of true and predicted Δ {score}", fontsize=9)
    figure.supylabel(f"predicted less true Δ {score}", fontsize=9)
    legend(figure, axes[0], grey=1)
    return Picture(
        name="agreement",
        title="How far off are the predicted amounts?",
        alt=f"Bland–Altman plots, one per arm: predicted less true difference in {score} of each fine pair against the "
        "mean of the two. " + " ".join(f"{arm.title}: {_told(arm.first)}." for arm in shown),
        caption="Each point is a pair of a held-out patient. Between the dashed lines, the limits of agreement (mean ± "
        "1.96 SD over pairs), lie about 95 % of pairs; grey bands are intervals over patients. Points along "
        f"a slope show a prediction that shrinks every change towards zero.{left_out(arms)}",
        figure=figure,
        numbers=pl.concat(tables),
        marks=marks,
    )


def differences(run: Run) -> pl.DataFrame:
    """``patient, visit_1, visit_2, true, predicted, mean, difference`` of the scored pairs, in score units."""
    known = run.pairs.drop_nulls(["delta", "predicted_delta"])
    true, said = pl.col("delta"), pl.col("predicted_delta")
    about = (pl.col("patient").str.head(8), pl.col("visit_1", "visit_2").cast(pl.Int64))
    both = (((true + said) / 2).alias("mean"), (said - true).alias("difference"))
    return known.select(*about, true.alias("true"), said.alias("predicted"), *both)


def limits(run: Run) -> dict[str, Row]:
    """Mean and limits of agreement from the evaluator; empty for a read-out that is not in score units."""
    found = {row.name: row for row in run.primary if row.name in LINES and row.value is not None}
    return {name: found[name] for name in LINES} if set(found) == set(LINES) else {}


def _told(run: Run) -> str:
    bias, low, high = (limits(run)[name].value for name in LINES)
    digits = 1 if max(map(abs, (low, high))) >= 10 else 2
    return f"mean {number(bias, digits)}, limits {number(low, digits)} to {number(high, digits)}"


def _pair(one: dict) -> str:
    return (
        f"{one['patient']}, visits {one['visit_1']} and {one['visit_2']}: true Δ {_plain(one['true'])}, "
        f"predicted {_plain(one['predicted'])}"
    )


def _plain(value: float) -> str:
    return np.format_float_positional(value, precision=4, fractional=False, trim="-").replace("-", "−")
