"""The psychometric curve: how large must a difference be for its order to be right three times out of four?"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl

from learner_jax.evaluators.rows import Row
from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, GREY, MARKERS, Mark, Picture, left_out, legend, panels, plain_numbers
from learner_jax.report.runs import Run
from learner_jax.report.titles import count, interval
from tfds_builders.errors import InputError

_DODGE = 0.004  # share of the axis between arms, whose intervals in one bin would hide one another


@dataclasses.dataclass(frozen=True)
class Bin:
    """Accuracy among the pairs of a bin, drawn at ``size``, the median |Δscore| of these pairs."""

    size: float
    row: Row


def psychometric(arms: Sequence[Arm]) -> Picture | None:
    """Pairwise accuracy against |Δscore|, with intervals over patients and the 75 % line; all arms in one panel."""
    drawn = arms[: len(COLOURS)]
    curves = [(at, arm, bins) for at, arm in enumerate(drawn) if len(bins := curve(arm.first)) > 1]
    if not curves:
        return None
    figure, (axis,) = panels(1, columns=1, width=7.2, height=3.6)
    axis.set_xscale("log")
    sizes = np.array([one.size for *_, bins in curves for one in bins])
    step = (sizes.max() / sizes.min()) ** _DODGE
    marks, rows = [], []
    for at, arm, bins in curves:
        x = np.array([one.size for one in bins]) * step ** (at - (len(drawn) - 1) / 2)
        value, low, high = (
            np.array([getattr(one.row, end) for one in bins], float) for end in ("value", "low", "high")
        )
        style = {"color": COLOURS[at], "marker": MARKERS[at], "markersize": 5, "linewidth": 1.6}
        apart = np.abs(np.stack([value - low, high - value]))
        axis.errorbar(x, value, yerr=apart, elinewidth=1.1, capsize=2.5, label=arm.title, **style)
        told = (f"{arm.name}: |Δ| {one.row.at}, accuracy {interval(one.row)}, {count(one.row)}" for one in bins)
        marks += [Mark(axis, at_x, one.row.value, text) for at_x, one, text in zip(x, bins, told, strict=True)]
        rows += [(arm.name, one.size, one.row.at, one.row.value, one.row.low, one.row.high) for one in bins]
    axis.axhline(0.75, color=GREY, linestyle="--", linewidth=1.1, label="75 %")
    axis.axhline(0.5, color=GREY, linestyle=":", linewidth=1.1, label="chance")
    axis.set_ylim(top=1.02)
    plain_numbers(axis.xaxis)
    axis.set_xlabel(f"|Δ {arms[0].first.score_name}| of a pair, medians of bins of equally many pairs", fontsize=9)
    axis.set_ylabel("pairwise accuracy", fontsize=9)
    legend(figure, axis)
    return Picture(
        name="psychometric",
        title="How large must a change be to be seen?",
        alt=f"Pairwise accuracy against the absolute difference of {arms[0].first.score_name}, one line per arm, with "
        "the line of 75 %. " + " ".join(_told(arm, bins) for _, arm, bins in curves),
        caption="Pairs whose scores differ are put into bins of equally many pairs. Where a curve crosses the dashed "
        "line, the order of two visits is right three times out of four. Intervals are over patients; within a bin, "
        f"arms are drawn slightly apart only to be visible.{left_out(arms)}",
        figure=figure,
        numbers=pl.DataFrame(rows, ["arm", "median", "bin", "accuracy", "low", "high"], orient="row"),
        marks=marks,
    )


def curve(run: Run) -> list[Bin]:
    """The bins of a run, small differences first; bins without a value are left out."""
    moved = run.pairs["delta"].drop_nulls().abs()
    found = []
    for row in run.primary:
        if row.name != "accuracy_by_size" or row.value is None:
            continue
        low, high = span(row.at)
        inside = moved.filter((moved >= low) & (moved <= high) & (moved > 0))
        size = float(inside.median()) if inside.len() else (low + high) / 2
        if size > 0:
            found.append(Bin(size, row))
    return sorted(found, key=lambda one: one.size)


def span(label: str) -> tuple[float, float]:
    """Lower and upper end of a bin that the evaluator labels ``"4.963 to 23.56"``, or with a single number.

    Labels are rounded to four digits, so the ends are moved outwards by half of the last.

    Raises:
      InputError: the label is neither.
    """
    try:
        low, *rest = (float(word) for word in label.split(" to "))
    except ValueError as error:
        raise InputError(
            f"scores.csv calls a bin of |Δscore| {label!r}, which is no span like '0.5 to 2'. Evaluate the run again."
        ) from error
    return low * (1 - 5e-4), (rest or [low])[-1] * (1 + 5e-4)


def _told(arm: Arm, bins: Sequence[Bin]) -> str:
    noticed = arm.first.rows.get("noticed_change")
    said = f", right 75 % at {interval(noticed)}" if noticed is not None and noticed.value is not None else ""
    ends = f"from {interval(bins[0].row)} at {bins[0].size:.3g} to {interval(bins[-1].row)} at {bins[-1].size:.3g}"
    return f"{arm.title}: {ends}{said}."
