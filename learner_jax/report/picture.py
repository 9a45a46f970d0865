"""One figure: its style, panels, numbers and marks, and how it becomes SVG and PNG."""

import dataclasses
import functools
import html
import io
import pathlib
import re
import textwrap
from collections.abc import Sequence
from numbers import Real

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from learner_jax.report.arms import Arm

# Okabe and Ito's colours, which colour-blind readers can tell apart; markers repeat the difference without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("s", "^", "D", "v", "P", "X")
MANY = 700  # points of a panel above which they are rasterized and have no marks: browsers are slow with more
_LONGEST = 36  # characters per line of a legend or a title
INK, GREY, PALE = "#1c2024", "#6b7280", "#e5e7eb"
# In a page these follow its light or dark colours; in a file of their own they stay as they are.
_THEME = {INK: "var(--ink)", GREY: "var(--quiet)", PALE: "var(--line)", "#ffffff": "var(--card)"}
_THEME |= {colour.lower(): f"var(--c{at})" for at, colour in enumerate(COLOURS, 1)}
_REACH = 6  # radius in points within which the pointer is on a mark
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a run may be called cost_$5
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "legend.frameon": False,
}


@dataclasses.dataclass(frozen=True)
class Mark:
    """What to tell a reader who points at ``(x, y)``, in units of the axis."""

    axis: Axes
    x: Real
    y: Real
    told: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """One figure.

    Attributes:
      name: of its files, and its id in the page.
      title: shown above it.
      alt: what is drawn, for those who cannot see it.
      caption: how to read it.
      figure: the drawing.
      numbers: what is drawn.
      marks: what can be pointed at.
    """

    name: str
    title: str
    alt: str
    caption: str
    figure: Figure
    numbers: pl.DataFrame | None = None
    marks: Sequence[Mark] = ()

    def svg(self) -> str:
        """An ``<svg>`` element for a page: text is text, ids are unique, colours follow the page, marks are on top."""
        element = self._document[self._document.index("<svg") :]
        element = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{self.name}-", element)
        element = re.sub("|".join(_THEME), lambda found: _THEME[found[0]], element)
        element = element.replace("<svg", f'<svg role="img" aria-label="{html.escape(self.alt)}"', 1)
        return element.replace("</svg>", "".join(map(self._drawn, self.marks)) + "</svg>")

    def save(self, folder: pathlib.Path) -> None:
        """Write ``name.svg``, ``name.png`` (150 dots per inch) and ``name.csv``."""
        (folder / f"{self.name}.svg").write_text(self._document, encoding="utf-8")
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(folder / f"{self.name}.png", dpi=150)
        if self.numbers is not None:
            self.numbers.write_csv(folder / f"{self.name}.csv")

    @functools.cached_property
    def _document(self) -> str:
        out = io.StringIO()
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": self.name}):
            self.figure.savefig(out, format="svg", metadata={"Date": None})
        # The layout is in inches and stays the same; solving it again for the PNG doubled the time of a page.
        self.figure.set_layout_engine("none")
        return out.getvalue()

    def _drawn(self, mark: Mark) -> str:
        x, y = np.asarray(mark.axis.transData.transform((mark.x, mark.y))) * 72 / self.figure.dpi  # SVG is in points
        at = f'cx="{x:.1f}" cy="{72 * self.figure.get_figheight() - y:.1f}" r="{_REACH}"'
        return f'<circle class="mark" {at} data-told="{html.escape(mark.told)}"/>'


def panels(count: int, columns: int, width: float, height: float, share: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` panels, each ``width`` × ``height`` inches; with ``share`` all have the same axes."""
    rows = -(-count // columns)
    figure = Figure(figsize=(max(columns * width, 4.2), rows * height + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).ravel()
    for at in range(count, len(axes)):
        axes[at].set_visible(False)
        axes[at - columns].tick_params(labelbottom=True)  # the panel above is now the lowest of its column
    return figure, list(axes[:count])


def plain_numbers(axis: Axis) -> None:
    """Ticks 1, 2, 5, 10, … for a logarithmic axis, whose numbers are written without powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, axis: Axes, grey: int = 0) -> None:
    """One legend for all panels; its first ``grey`` entries are grey, since each arm draws them in its own colour.

    Long names are broken into lines, and there are only as many columns as are sure to fit, because matplotlib cuts off
    the rest. The figure grows with the lines of the legend beyond the first, so that the panels keep their height.
    """
    handles, labels = axis.get_legend_handles_labels()
    labels = [head(label) for label in labels]
    widest = max(len(line) for label in labels for line in label.split("\n"))
    columns = int(min(len(labels), 5, max(1, figure.get_figwidth() // (0.6 + 0.07 * widest))))  # inches, at 8.5 points
    lines = -(-len(labels) // columns) * max(label.count("\n") + 1 for label in labels)
    figure.set_figheight(figure.get_figheight() + 0.16 * (lines - 1))  # inches, likewise
    made = figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=1.6, fontsize=8.5)
    for handle in made.legend_handles[:grey]:
        handle.set_color(GREY)
        if isinstance(handle, PathCollection):  # a single point of a dense cloud is too faint and small to be seen
            handle.set(alpha=0.6, sizes=[14])


def head(title: str) -> str:
    """The title of an arm in at most two lines, for a panel or a legend."""
    short = shortened(title, 2 * _LONGEST - 8)
    return textwrap.fill(short, _LONGEST, max_lines=2, placeholder="…", break_on_hyphens=False)


def shortened(name: str, most: int) -> str:
    """A name in at most ``most`` characters, keeping more of its end than its start: runs of a study begin alike."""
    return name if len(name) <= most else f"{name[: most // 3]}…{name[most // 3 + 1 - most :]}"


def left_out(arms: Sequence[Arm]) -> str:
    """Sentences for a caption on what a picture leaves out, each preceded by a space; empty if nothing."""
    found = " Of an arm of several seeds the first is drawn." if any(arm.seeds > 1 for arm in arms) else ""
    if len(arms) > len(COLOURS):
        found += f" The first {len(COLOURS)} of {len(arms)} arms are drawn."
    return found
