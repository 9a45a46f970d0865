"""The two scans of a prediction side by side, where the run looks in them, and how likely each class is."""

import io

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from learner_jax.predict.api import Prediction
from learner_jax.predict.wording import NOT_CLINICAL
from learner_jax.report.picture import COLOURS, GREY, STYLE

_STRONGEST = 0.55  # opacity of the overlay at its brightest


def draw(
    one: Prediction,
    scans: Float[np.ndarray, "2 h w"],
    where: Float[np.ndarray, "2 h w"],
    named: tuple[str, str, str],
    titles: tuple[str, str],
    told: str,
) -> bytes:
    """A PNG.

    Args:
      one: the prediction.
      scans: intensities of one frame or slice of each scan.
      where: :func:`saliency.smoothed` of the same frames; both are drawn on one scale.
      named: words for the three classes, see :func:`wording.words`.
      titles: above the scans.
      told: the prediction in a sentence.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.9), layout="constrained")
        axes = figure.subplots(1, 3, width_ratios=(1, 1, 0.62))
        top = max(float(np.quantile(where, 0.995)), 1e-30)
        white = max(float(scans.max()), 1e-30)  # the same for both
        for axis, scan, hot, title in zip(axes[:2], scans, where, titles, strict=True):
            axis.imshow(scan, cmap="gray", vmin=0, vmax=white)
            strength = np.clip(hot / top, 0, 1)
            axis.imshow(strength, cmap="inferno", vmin=0, vmax=1, alpha=_STRONGEST * strength)
            axis.set_title(title, loc="left")
            axis.set_axis_off()
        bars = axes[2]
        if one.probability is None:
            bars.text(0.5, 0.5, "no probabilities", ha="center", va="center", transform=bars.transAxes, color=GREY)
            bars.set_axis_off()
        else:
            sure = not one.abstain
            colours = [COLOURS[0] if sure and at == one.change + 1 else "#c7ccd4" for at in range(3)]
            bars.barh(range(3), one.probability, color=colours, height=0.62)
            bars.set_yticks(range(3), named)
            bars.set_xlim(0, 1)
            bars.set_xticks((0, 0.5, 1))
            for at, p in enumerate(one.probability):
                bars.text(min(p + 0.03, 0.72), at, f"{p:.2f}", va="center", fontsize=9)
            bars.set_title("abstains" if one.abstain else "probability", loc="left")
        figure.suptitle(told, x=0.01, ha="left", fontsize=10.5, wrap=True)
        figure.supxlabel(
            f"Coloured: where the predicted score moves most with the pixels. {NOT_CLINICAL.capitalize()}.",
            x=0.01,
            ha="left",
            fontsize=8.5,
            color=GREY,
        )
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=150, metadata={"Software": None})
    return out.getvalue()
