"""The pictures of a board: differences from the reference, score against cost, score over settings."""

import math
import re
from collections.abc import Sequence

import matplotlib
from matplotlib.ticker import NullFormatter

from learner_jax.report.forest import SURE, bar
from learner_jax.report.picture import (
    COLOURS,
    GREY,
    INK,
    MARKERS,
    STYLE,
    Picture,
    legend,
    panels,
    plain_numbers,
    shortened,
)
from learner_jax.report.titles import CHANCE, TITLES, interval
from learner_jax.sweep.pareto import front
from learner_jax.sweep.plan import folder
from learner_jax.sweep.standing import Scoreboard, Standing

_WIDEST = 30  # characters of a name beside an axis
_NUMBERED = re.compile(r"(?P<what>.+)=(?P<number>-?[\d.]+(?:e[+-]?\d+)?)")


def draw(board: Scoreboard) -> list[Picture]:
    """Every picture that the board has numbers for, study by study."""
    pictures = []
    with matplotlib.rc_context(STYLE):
        for study in board.studies:
            lines = board.of(study["name"])
            pictures += [forest(study, lines), cost(study, lines), *curves(study, lines)]
    return [picture for picture in pictures if picture is not None]


def forest(study: dict, lines: Sequence[Standing]) -> Picture | None:
    """Differences of all arms from the reference with their intervals, one panel per setting."""
    settings = {
        name: [one for one in lines if one.setting == name and one.difference and one.difference.row.low is not None]
        for name in study["settings"]
    }
    settings = {name: own for name, own in settings.items() if own}
    if not settings:
        return None
    most = max(len(own) for own in settings.values())
    columns = min(len(settings), 3)
    figure, axes = panels(len(settings), columns, 7.2 / columns if columns > 1 else 6.4, 0.7 + 0.28 * most)
    for axis, (name, own) in zip(axes, settings.items(), strict=True):
        arms = [arm for arm in study["arms"] if arm != study["reference"]]
        axis.axvline(0, color=GREY, linestyle="--", linewidth=1.1)
        for one in own:
            sure = one.p_holm is not None and one.p_holm < SURE
            bar(axis, one.difference.row, arms.index(one.arm), INK, filled=sure)
        axis.set_yticks(range(len(arms)), [shortened(arm, _WIDEST) for arm in arms])
        axis.set_ylim(len(arms) - 0.5, -0.5)
        axis.set_title(name, loc="left")
    score = TITLES.get(study["choose_by"], study["choose_by"])
    figure.supxlabel(f"{score}, less that of {shortened(study['reference'], _WIDEST)}", fontsize=9)
    told = " ".join(f"{one.setting}, {one.arm}: {one.difference.text}." for own in settings.values() for one in own)
    return Picture(
        name=f"forest-{folder(study['name'])}",
        title=f"{study['name']}: how the arms differ from {study['reference']}",
        alt=f"Forest plot of the differences in {score} from {study['reference']}, a panel for each setting. {told}",
        caption="Mean over seeds of the difference on the same test patients, with its interval over patients. A full "
        "circle: p < 0.05 after Holm's adjustment over the arms of the setting (permutation of patients). Intervals "
        "and p take the trained models as they are.",
        figure=figure,
    )


def cost(study: dict, lines: Sequence[Standing]) -> Picture | None:
    """Score against device-hours of a run in the first setting, with the Pareto front."""
    setting = study["settings"][0]
    known = [one for one in lines if one.kind == "arm" and one.setting == setting and one.value is not None]
    known = [one for one in known if one.hours_of_a_run]
    if len(known) < 2:
        return None
    points = [(one.hours_of_a_run, one.value) for one in known]
    best = front(points)
    figure, (axis,) = panels(1, columns=1, width=7.2, height=3.8)
    axis.set_xscale("log")
    axis.plot(*zip(*(points[at] for at in best), strict=True), color=GREY, linewidth=1.2, label="best for its cost")
    for at, (one, (hours, value)) in enumerate(zip(known, points, strict=True)):
        style = _style(at)
        axis.plot(hours, value, linestyle="none", markersize=6, label=one.arm, **style)
        if None not in (one.row.low, one.row.high):
            axis.plot([hours, hours], [one.row.low, one.row.high], color=style["color"], linewidth=1)
    plain_numbers(axis.xaxis)
    axis.set_xlabel("device-hours of a run, with start-up and scoring", fontsize=9)
    score = TITLES.get(study["choose_by"], study["choose_by"])
    axis.set_ylabel(score, fontsize=9)
    legend(figure, axis)
    names = ", ".join(known[at].arm for at in best)
    return Picture(
        name=f"cost-{folder(study['name'])}",
        title=f"{study['name']}: what it costs",
        alt=f"{score} of each arm against its device-hours in setting {setting}. No arm is better and cheaper than "
        f"{names}. " + " ".join(f"{one.arm}: {interval(one.row)}." for one in known),
        caption=f"Setting {setting}. The line joins the arms that no other beats in both: {names}. Bars are intervals "
        "over patients.",
        figure=figure,
    )


def _style(at: int) -> dict[str, str]:
    """Colour and marker of an arm; beyond the last colour, colours repeat with another marker."""
    return {"color": COLOURS[at % len(COLOURS)], "marker": MARKERS[(at + at // len(COLOURS)) % len(MARKERS)]}


def curves(study: dict, lines: Sequence[Standing]) -> list[Picture]:
    """Score over a number in which settings differ: one picture per ``what`` of settings called ``what=number``."""
    found: dict[str, list[tuple[float, str]]] = {}
    for name in study["settings"]:
        if numbered := _NUMBERED.fullmatch(name):
            found.setdefault(numbered["what"], []).append((float(numbered["number"]), name))
    pictures = (_curve(study, lines, what, sorted(points)) for what, points in found.items() if len(points) > 1)
    return [picture for picture in pictures if picture is not None]


def _curve(study: dict, lines: Sequence[Standing], what: str, points: Sequence[tuple[float, str]]) -> Picture | None:
    known = {(one.arm, one.setting): one for one in lines if one.kind == "arm" and one.value is not None}
    if not known:
        return None
    figure, (axis,) = panels(1, columns=1, width=7.2, height=3.6)
    told, numbers = [], [number for number, _ in points]
    wide = min(numbers) > 0 and max(numbers) / min(numbers) >= 8
    if wide:
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(numbers, [f"{number:g}" for number in numbers])
    step = 0.012 * (math.log(max(numbers) / min(numbers)) if wide else max(numbers) - min(numbers))
    for at, arm in enumerate(study["arms"]):
        own = [(number, known[arm, name]) for number, name in points if (arm, name) in known]
        if not own:
            continue
        aside = (at - (len(study["arms"]) - 1) / 2) * step
        x = [number * math.exp(aside) if wide else number + aside for number, _ in own]
        y = [one.value for _, one in own]
        style = _style(at)
        axis.plot(x, y, markersize=5, linewidth=1.5, label=arm, **style)
        for place, (_, one) in zip(x, own, strict=True):
            if None not in (one.row.low, one.row.high):
                axis.plot([place, place], [one.row.low, one.row.high], color=style["color"], linewidth=1)
        told.append(f"{arm}: " + ", ".join(f"{number:g} {interval(one.row)}" for number, one in own) + ".")
    score = study["choose_by"]
    if score in CHANCE:
        axis.axhline(CHANCE[score], color=GREY, linestyle=":", linewidth=1.1, label="chance")
    axis.set_xlabel(what, fontsize=9)
    axis.set_ylabel(TITLES.get(score, score), fontsize=9)
    legend(figure, axis)
    return Picture(
        name=f"curve-{folder(study['name'])}-{folder(what)}",
        title=f"{study['name']}: over {what}",
        alt=f"{TITLES.get(score, score)} of each arm over {what}. {' '.join(told)}",
        caption="Means over seeds, with intervals over patients where test patients were scored; arms are drawn a "
        "little apart, for the eye alone.",
        figure=figure,
    )
