"""Forest plots: arms beside floors and ceiling, and how arms differ from the reference."""

import polars as pl
from matplotlib.axes import Axes

from learner_jax.evaluators.rows import Row
from learner_jax.report.arms import Entry
from learner_jax.report.picture import GREY, INK, Mark, Picture, panels, shortened
from learner_jax.report.study import Study, entries
from learner_jax.report.titles import CHANCE, HEADLINE, TITLES, interval

_WIDEST = 30  # characters of a name on the left
SURE = 0.05  # differences with an adjusted p-value below this are drawn as full circles
_COLUMNS = ["kind", "name", "score", "value", "low", "high"]


def forest(study: Study) -> Picture | None:
    """The headline scores of every arm, floor and ceiling with their intervals, one panel per score."""
    lines = [entry for entry in entries(study) if any(_known(entry.rows.get(name)) for name in HEADLINE)]
    names = [name for name in HEADLINE if any(_known(entry.rows.get(name)) for entry in lines)]
    if not names or all(entry.kind != "arm" for entry in lines):
        return None
    figure, axes = panels(len(names), columns=len(names), width=3.0, height=0.6 + 0.24 * len(lines), share=False)
    marks, rows = [], []
    for axis, name in zip(axes, names, strict=True):
        for y, entry in enumerate(lines):
            row = entry.rows.get(name)
            if not _known(row):
                continue
            arm = entry.kind in ("arm", "reference")
            bar(axis, row, y, INK if arm else GREY, filled=arm)
            marks.append(Mark(axis, row.value, y, f"{entry.name}: {TITLES[name]} {interval(row)}"))
            rows.append((entry.kind, entry.name, name, row.value, row.low, row.high))
        if name in CHANCE:
            axis.axvline(CHANCE[name], color=GREY, linestyle=":", linewidth=1.1)
        _names(axis, [entry.name if axis is axes[0] else "" for entry in lines])
        axis.set_title(TITLES[name], loc="left")
    best = [_best(lines, name) for name in names]
    return Picture(
        name="forest",
        title="Arms, floors and ceiling",
        alt=f"Forest plot with a panel for each of {', '.join(TITLES[name] for name in names)}: every arm, floor and "
        f"ceiling with its interval. {' '.join(best)}",
        caption="Full circles are arms, open ones need no pretraining or, as the ceiling, know the true score; the "
        "dotted line is chance. Intervals are over patients, and whether two of them overlap is not a test.",
        figure=figure,
        numbers=pl.DataFrame(rows, schema=_COLUMNS, orient="row", infer_schema_length=None),
        marks=marks,
    )


def differences(study: Study) -> Picture | None:
    """The headline scores of every arm minus those of the reference, one panel per score."""
    compared = study.comparison
    shown = compared.shown if compared is not None else []
    names = list(dict.fromkeys(one.row.name for _, lines in shown for one in lines))
    if not names:
        return None
    figure, axes = panels(len(names), columns=len(names), width=3.0, height=0.7 + 0.26 * len(shown), share=False)
    marks, rows = [], []
    for axis, name in zip(axes, names, strict=True):
        axis.axvline(0, color=GREY, linestyle="--", linewidth=1.1)
        for y, (arm, lines) in enumerate(shown):
            for one in (one for one in lines if one.row.name == name and one.row.value is not None):
                bar(axis, one.row, y, INK, filled=one.p_holm < SURE)
                told = f"{arm}: {one.title} {one.text}, p {one.p:.2g}, Holm {one.p_holm:.2g}"
                marks.append(Mark(axis, one.row.value, y, told))
                rows.append((arm, name, one.row.value, one.row.low, one.row.high, one.p, one.p_holm))
        _names(axis, [arm if axis is axes[0] else "" for arm, _ in shown])
        axis.set_title(f"Δ {TITLES[name]}", loc="left")
    told = " ".join(f"{arm}: {', '.join(f'{one.title} {one.text}' for one in lines)}." for arm, lines in shown)
    return Picture(
        name="differences",
        title=f"How the arms differ from {compared.reference}",
        alt=f"Forest plot of the differences of each arm from {compared.reference}. {told}",
        caption="On the same patients, with intervals over them. A full circle: p < 0.05 after Holm's adjustment over "
        "the scores that are compared of an arm. The dashed line is no difference.",
        figure=figure,
        numbers=pl.DataFrame(rows, ["arm", "score", "value", "low", "high", "p", "p_holm"], orient="row"),
        marks=marks,
    )


def bar(axis: Axes, row: Row, y: int, colour: str, filled: bool) -> None:
    """A value as a circle at height ``y``, with its interval as a line where it has one."""
    if row.low is not None and row.high is not None:
        axis.plot([row.low, row.high], [y, y], color=colour, linewidth=1.3)
    axis.plot(row.value, y, "o", color=colour, markersize=5, markerfacecolor=colour if filled else "white")


def _names(axis: Axes, names: list[str]) -> None:
    axis.set_yticks(range(len(names)), [shortened(name, _WIDEST) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)


def _known(row: Row | None) -> bool:
    return row is not None and row.value is not None


def _best(lines: list[Entry], name: str) -> str:
    found = []
    for kind, word in (("arm", "the best arm"), ("floor", "the highest floor")):
        known = [entry for entry in lines if entry.kind == kind and _known(entry.rows.get(name))]
        if known:
            top = max(known, key=lambda entry: entry.rows[name].value)
            found.append(f"{word} is {top.name} with {interval(top.rows[name])}")
    return f"In {TITLES[name]} {', '.join(found)}."
