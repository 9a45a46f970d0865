"""How healthy training was: health figures from the metrics, over steps."""

from collections.abc import Sequence

import polars as pl

from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, Mark, Picture, left_out, legend, panels, plain_numbers

# Metrics that may be logged, and their titles; a figure that no arm has is left out.
FIGURES = {
    "effective_rank": "effective rank (1: one direction)",
    "mean_cosine": "mean cosine (1: one point)",
    "gradient_norm": "gradient norm",
    "alignment": "alignment",
    "uniformity": "uniformity",
    "contrastive_accuracy": "contrastive accuracy",
    "zero_loss_share": "share of scans at no loss",
    "skipped": "steps that changed nothing",
}
_LOGARITHMIC = ("gradient_norm", "effective_rank")
_BEST_AT_0 = ("skipped", "zero_loss_share")  # left out if they are 0 throughout


def vitals(arms: Sequence[Arm]) -> Picture | None:
    """One panel per health figure, with one line per arm."""
    curves = {}
    for name in FIGURES:
        own = [(at, arm, *arm.first.curve(name)) for at, arm in enumerate(arms[: len(COLOURS)])]
        own = [one for one in own if one[2].size > 1]
        if own and not (name in _BEST_AT_0 and _quiet(own)):
            curves[name] = own
    if not curves:
        return None
    figure, axes = panels(len(curves), columns=min(len(curves), 3), width=3.2, height=2.0, share=False)
    marks, rows = [], []
    for axis, (name, own) in zip(axes, curves.items(), strict=True):
        for at, arm, steps, values in own:
            axis.plot(steps, values, color=COLOURS[at], linewidth=1.3, label=arm.title)
            marks.append(Mark(axis, steps[-1], values[-1], f"{arm.name}: {FIGURES[name]} {values[-1]:.3g} at the end"))
            rows += [(arm.name, name, int(step), value) for step, value in zip(steps, values.tolist(), strict=True)]
        if name in _LOGARITHMIC and all((values > 0).all() for *_, values in own):
            axis.set_yscale("log")
            plain_numbers(axis.yaxis)
        axis.set_title(FIGURES[name], loc="left")
    figure.supxlabel("step", fontsize=9)
    numbers_of_arms = [len(own) for own in curves.values()]
    legend(figure, axes[numbers_of_arms.index(max(numbers_of_arms))])
    ends = "; ".join(
        f"{FIGURES[name]}: {', '.join(f'{arm.name} {v[-1]:.3g}' for _, arm, _, v in own)}"
        for name, own in curves.items()
    )
    return Picture(
        name="vitals",
        title="Was training healthy?",
        alt=f"Line plots of health figures over steps, a line for each arm. At the end: {ends}.",
        caption="Of a batch, as logged. An effective rank that falls to 1, or a mean cosine that rises to 1, is a "
        "collapse; a gradient norm that jumps is a learning rate too high. docs/objectives.md says which "
        f"figures belong to which objective.{left_out(arms)}",
        figure=figure,
        numbers=pl.DataFrame(rows, ["arm", "figure", "step", "value"], orient="row"),
        marks=marks,
    )


def _quiet(own: list) -> bool:
    return not any(values.any() for *_, values in own)
