"""Which change is mistaken for which: pairs by true and predicted class."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.patches import Rectangle

from learner_jax.evaluators.names import WORDS
from learner_jax.report.arms import Arm
from learner_jax.report.picture import COLOURS, INK, Mark, Picture, head, left_out, panels
from learner_jax.report.runs import Run


def confusion(arms: Sequence[Arm]) -> Picture | None:
    """A confusion matrix per arm: rows are the true classes, and the shade of a cell is its share of the row."""
    counted = [(arm, counts(arm.first)) for arm in arms[: len(COLOURS)]]
    shown = [(arm, matrix) for arm, matrix in counted if matrix.sum()]
    if not shown:
        return None
    figure, axes = panels(len(shown), columns=min(len(shown), 3), width=3.1, height=2.7)
    marks, rows = [], []
    for axis, (arm, matrix) in zip(axes, shown, strict=False):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        colour = COLOURS[list(arms).index(arm)]
        for (true, said), n in np.ndenumerate(matrix):
            axis.add_patch(_cell(said, true, colour, share[true, said]))
            axis.text(said, true, f"{n}\n{100 * share[true, said]:.0f} %", ha="center", va="center", color=INK)
            told = f"{WORDS[true]}, called {WORDS[said]}: {n} pairs, {100 * share[true, said]:.1f} % of the row"
            marks.append(Mark(axis, said, true, f"{arm.name}: {told}"))
            rows.append((arm.name, WORDS[true], WORDS[said], int(n), float(share[true, said])))
        axis.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5))
        axis.set_xticks(range(3), WORDS)
        axis.set_yticks(range(3), WORDS, rotation=90, va="center")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(head(arm.title), loc="left")
    figure.supxlabel("called", fontsize=9)
    figure.supylabel("truly", fontsize=9)
    names = ["arm", "truly", "called", "pairs", "share_of_truly"]
    return Picture(
        name="confusion",
        title="Which change is taken for which?",
        alt="Confusion matrices of three-way change, one per arm. " + " ".join(_told(*one) for one in shown),
        caption="Pairs of held-out patients by what truly happened and by what the primary read-out says. A cell shows "
        "its pairs and their share of its row; the diagonal is right, and what lies two cells from it is called the "
        f"opposite.{left_out(arms)}",
        figure=figure,
        numbers=pl.DataFrame(rows, schema=names, orient="row"),
        marks=marks,
    )


def counts(run: Run) -> np.ndarray:
    """Scored pairs ``[3 3]`` by true (rows) and predicted class, in the order of :data:`WORDS`."""
    known = run.pairs.drop_nulls(["change", "predicted_change"])
    cells = (known["change"] * 3 + known["predicted_change"] + 4).cast(pl.Int64).to_numpy()
    return np.bincount(cells, minlength=9).reshape(3, 3)


def _cell(x: int, y: int, colour: str, share: float) -> Rectangle:
    # Even a full cell leaves its number readable, on a light page and on a dark one.
    return Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, alpha=0.06 + 0.5 * share, linewidth=0)


def _told(arm: Arm, matrix: np.ndarray) -> str:
    right = [f"{100 * matrix[at, at] / max(matrix[at].sum(), 1):.0f} % of {name}" for at, name in enumerate(WORDS)]
    return f"{arm.title}: right in {', '.join(right)}."
