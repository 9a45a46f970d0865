"""The training loss over steps."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, Picture, head, left_out, legend, panels


def loss(arms: Sequence[Arm]) -> Picture | None:
    """Training loss over steps, one panel per arm: losses of different objectives share no unit."""
    curves = [(at, arm, *arm.first.curve("loss")) for at, arm in enumerate(arms[: len(COLOURS)])]
    curves = [one for one in curves if one[2].size > 1]
    if not curves:
        return None
    figure, axes = panels(len(curves), columns=min(len(curves), 3), width=3.5, height=2.2, share=False)
    for axis, (at, arm, steps, values) in zip(axes, curves, strict=False):
        axis.plot(steps, values, color=COLOURS[at], alpha=0.35, linewidth=0.9, label="as logged")
        axis.plot(steps, running_mean(values), color=COLOURS[at], linewidth=1.8, label="running mean")
        axis.set_title(head(arm.title), loc="left")
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("training loss", fontsize=9)
    legend(figure, axes[0], grey=2)
    ends = " ".join(f"{arm.title}: from {values[0]:.3g} to {values[-1]:.3g}." for _, arm, _, values in curves)
    rows = [(arm.name, int(x), y) for _, arm, *curve in curves for x, y in zip(*curve, strict=True)]
    return Picture(
        name="loss",
        title="Training loss",
        alt=f"Line plots of the training loss over steps, one per arm. {ends}",
        caption="Compare the shapes, not the heights: objectives measure different things. The darker line is a "
        f"running mean over a tenth of the points.{left_out(arms)}",
        figure=figure,
        numbers=pl.DataFrame(rows, ["arm", "step", "loss"], orient="row"),
    )


def running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over a tenth of the points, half of them on either side; at the ends, over those that there are."""
    width, at = max(1, values.size // 20), np.arange(values.size)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first, last = np.maximum(at - width, 0), np.minimum(at + width + 1, values.size)
    return (sums[last] - sums[first]) / (last - first)
