"""Do probabilities mean what they say? How often the likeliest class is right, against how sure the read-out was."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from learner_jax.evaluators.names import CHANCES
from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, GREY, Mark, Picture, head, left_out, legend, panels
from learner_jax.report.runs import Run
from learner_jax.report.titles import number

_BINS, _LEAST = 10, 20  # at most so many bins of equal count, each of at least so many pairs
_DRAWS = 1000  # bootstrap draws of patients
_BIN = ["confidence", "right", "low", "high", "pairs"]


def reliability(arms: Sequence[Arm]) -> Picture | None:
    """Share of pairs whose likeliest class is true, against its mean probability, with intervals over patients."""
    curves = [(at, arm, bins(arm.first)) for at, arm in enumerate(arms[: len(COLOURS)])]
    curves = [one for one in curves if one[2].height > 1]
    if not curves:
        return None
    figure, axes = panels(len(curves), columns=min(len(curves), 3), width=3.2, height=3.0)
    marks = []
    for axis, (at, arm, table) in zip(axes, curves, strict=False):
        axis.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.1, label="as sure as right")
        x, y, low, high = (table[name].to_numpy() for name in _BIN[:4])
        style = {"color": COLOURS[at], "marker": "o", "markersize": 4.5, "linewidth": 1.4}
        apart = np.abs(np.stack([y - low, high - y]))
        axis.errorbar(x, y, yerr=apart, elinewidth=1, capsize=2, **style)
        axis.set_title(f"{head(arm.title)}\n{_error(arm.first)}", loc="left")
        marks += [Mark(axis, row["confidence"], row["right"], f"{arm.name}: {_line(row)}") for row in table.to_dicts()]
    axes[0].set(xlim=(1 / 3 - 0.03, 1.02), ylim=(-0.02, 1.02))  # the likeliest of three is a third at least
    figure.supxlabel("mean probability of the likeliest class", fontsize=9)
    figure.supylabel("share of pairs where it is true", fontsize=9)
    legend(figure, axes[0])
    tables = [table.select(pl.lit(arm.name).alias("arm"), pl.all()) for _, arm, table in curves]
    return Picture(
        name="reliability",
        title="Do its probabilities mean what they say?",
        alt="Reliability diagrams, one per arm: how often the likeliest of three classes is true, against its "
        "probability. " + " ".join(f"{arm.title}: {_ends(table)}." for _, arm, table in curves),
        caption="Pairs are put into up to ten bins of equal count, by the probability of the class that the read-out "
        "considers likeliest. Below the dashed line it is surer than it is right. Intervals (95 %) are plain "
        "percentiles over patients, too narrow where few have pairs in a bin. Probabilities were calibrated on "
        f"validation patients.{left_out(arms)}",
        figure=figure,
        numbers=pl.concat(tables),
        marks=marks,
    )


def bins(run: Run) -> pl.DataFrame:
    """``confidence, right, low, high, pairs`` of each bin; equal confidences share a bin, and empty bins are left out.

    Intervals run from the 2.5th to the 97.5th percentile over draws of patients with all their pairs, without the
    evaluator's correction for few patients; NaN where all draws agree.
    """
    known = run.pairs.drop_nulls([*CHANCES, "change"])
    if known.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(_BIN, pl.Float64))
    p = known.select(CHANCES).to_numpy()
    confidence = p.max(axis=1)
    right = (p.argmax(axis=1) - 1 == known["change"].to_numpy()).astype(float)
    count = int(np.clip(len(confidence) // _LEAST, 2, _BINS))
    edges = np.quantile(confidence, np.linspace(0, 1, count + 1)[1:-1])
    which = np.searchsorted(edges, confidence, "left")
    _, patient = np.unique(known["patient"].to_numpy(), return_inverse=True)
    sums = np.zeros((2, patient.max() + 1, count))
    np.add.at(sums[0], (patient, which), 1)
    np.add.at(sums[1], (patient, which), right)
    size = sums.shape[1]
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), _DRAWS).astype(float)
    n, hits = drawn @ sums[0], drawn @ sums[1]
    share = np.where(n > 0, hits / np.maximum(n, 1), np.nan)
    rows = []
    for at in np.unique(which):
        low, high = np.nanpercentile(share[:, at], [2.5, 97.5])
        if low == high:  # of one patient, or all right: resampling says nothing
            low = high = np.nan
        mine = which == at
        rows.append((confidence[mine].mean(), right[mine].mean(), low, high, float(mine.sum())))
    return pl.DataFrame(rows, schema=_BIN, orient="row")


def _error(run: Run) -> str:
    """The calibration error from the evaluator, which always uses ten bins."""
    known = [row.value for row in run.primary if row.name == "adaptive_ece" and row.value is not None]
    return f"calibration error {number(known[0])}" if known else "calibration error unknown"


def _line(row: dict) -> str:
    ends = f"[{100 * row['low']:.0f}, {100 * row['high']:.0f}] " if row["low"] < row["high"] else ""
    right = f"right in {100 * row['right']:.0f} % {ends}of {row['pairs']:.0f} pairs"
    return f"sure to {100 * row['confidence']:.0f} %, {right}"


def _ends(table: pl.DataFrame) -> str:
    first, last = table.row(0, named=True), table.row(-1, named=True)
    return " and ".join(f"right {number(x['right'])} where sure to {number(x['confidence'])}" for x in (first, last))
