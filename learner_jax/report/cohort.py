"""The cohort: patients, visits, scans and views of each part, and how scores are distributed."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from learner_jax.report.picture import COLOURS, GREY, INK, Mark, Picture, legend, panels
from learner_jax.report.runs import Run

PARTS = {"train": "train", "val": "validation", "test": "test"}
_BINS = 20


def card(run: Run) -> tuple[list[str], list[tuple[str, ...]]]:
    """A table of the parts of the cohort: its header and its rows.

    Scans, labels and views were counted by the evaluator; evaluations from before it did so have only patients and
    visits.
    """
    counted = (run.scores.get("cohort") or {}).get("parts", {})
    parts = [part for part in PARTS if part in counted or (run.observations["split"] == part).any()]
    views = list(dict.fromkeys(view for part in counted.values() for view in part["views"]))
    rows = [("patients", *(_count(run, counted, part, "patients") for part in parts))]
    rows += [("visits", *(_count(run, counted, part, "visits") for part in parts))]
    if counted:
        rows += [(name, *(f"{counted[part][name]:,}" for part in parts)) for name in ("scans", "labeled scans")]
        several = views if len(views) > 1 else []
        rows += [(f"view {view}", *(f"{counted[part]['views'].get(view, 0):,}" for part in parts)) for view in several]
    scores = {part: run.observations.filter(pl.col("split") == part)["score"].drop_nulls() for part in parts}
    spread = {
        part: f"{x.median():.4g} ({x.min():.4g} to {x.max():.4g})" if x.len() else "–" for part, x in scores.items()
    }
    rows.append((f"{run.score_name}, median (range)", *(spread[part] for part in parts)))
    return ["", *(PARTS[part] for part in parts)], rows


def facts(run: Run) -> list[tuple[str, str]]:
    """What kind of scans these are, and the fingerprints of split, records and training rows, as (what, value)."""
    about = run.scores.get("cohort") or {}
    marks = run.scores.get("fingerprints", {})
    told = []
    if about:
        t, h, w, c = about["scan_shape"]
        axis = {"time": "frames", "depth": "slices", "none": "picture"}.get(about["axis0"], "planes")
        told.append(("scans", f"{about['modality']}, {t} {axis} of {h}×{w}, {c} channel{'s' * (c != 1)}"))
        told.append(
            ("views", ", ".join(dict.fromkeys(view for part in about["parts"].values() for view in part["views"])))
        )
    words = {"split": "fingerprint of the split", "data": "of the records", "training_rows": "of the training rows"}
    return told + [(words[name], str(marks[name])) for name in words if name in marks]


def scores(run: Run) -> Picture | None:
    """Histograms of the score in each part, and of the change between the two visits of a test pair."""
    known = run.observations.drop_nulls("score")
    parts = [part for part in PARTS if (known["split"] == part).any()]
    if not parts:
        return None
    delta = run.pairs["delta"].drop_nulls().to_numpy()
    figure, axes = panels(1 + bool(delta.size), columns=2, width=4.4, height=2.5, share=False)
    edges = np.histogram_bin_edges(known["score"].to_numpy(), _BINS)
    rows, marks = [], []
    for at, part in enumerate(parts):
        values = known.filter(pl.col("split") == part)["score"].to_numpy()
        share = np.histogram(values, edges)[0]
        axes[0].stairs(share / len(values), edges, color=COLOURS[at], linewidth=1.6, label=f"{PARTS[part]} visits")
        rows += [(PARTS[part], *edges[i : i + 2].tolist(), int(n)) for i, n in enumerate(share)]
        marks += _tops(axes[0], share, edges, len(values), f"{PARTS[part]}, {run.score_name}")
    axes[0].set_xlabel(run.score_name, fontsize=9)
    axes[0].set_ylabel("share of visits", fontsize=9)
    axes[0].set_ylim(bottom=0)
    threshold = run.scores.get("change_threshold")
    if delta.size:
        edges = np.histogram_bin_edges(delta, _BINS)
        share = np.histogram(delta, edges)[0]
        axes[1].stairs(share, edges, color=INK, linewidth=1.6)
        marks += _tops(axes[1], share, edges, 1, f"Δ {run.score_name}", "pairs")
        rows += [("difference of a test pair", *edges[i : i + 2].tolist(), int(n)) for i, n in enumerate(share)]
        if threshold is not None:
            axes[1].axvspan(-threshold, threshold, color=GREY, alpha=0.2, linewidth=0)
        axes[1].set_xlabel(f"Δ {run.score_name} of a test pair, later less earlier", fontsize=9)
        axes[1].set_ylabel("pairs", fontsize=9)
        axes[1].set_ylim(bottom=0)
    legend(figure, axes[0])
    told = [f"{PARTS[part]}: median {known.filter(pl.col('split') == part)['score'].median():.4g}" for part in parts]
    stable, pairs = "", " Right: the changes between the visits of test patients." if delta.size else ""
    if delta.size and threshold is not None:
        stable = f" Of {delta.size:,} test pairs {100 * np.mean(np.abs(delta) <= threshold):.0f} % count as stable."
        pairs += f"{stable} The grey band is what counts as stable."
    return Picture(
        name="scores",
        title="How scores, and their changes, are spread",
        alt=f"Histograms of {run.score_name} over visits, one line for each part ({', '.join(told)}), and of the "
        f"difference of test pairs.{stable}",
        caption=f"Visits of each part: parts that differ much make the test harder.{pairs}",
        figure=figure,
        numbers=pl.DataFrame(rows, ["of", "from", "to", "count"], orient="row"),
        marks=marks,
    )


def _count(run: Run, counted: dict, part: str, what: str) -> str:
    if part in counted:
        return f"{counted[part][what]:,}"
    seen = run.observations.filter(pl.col("split") == part)
    return f"{seen['patient'].n_unique() if what == 'patients' else seen.height:,}"


def _tops(axis: Axes, counts: np.ndarray, edges: np.ndarray, total: int, what: str, unit: str = "visits") -> list[Mark]:
    middle = (edges[1:] + edges[:-1]) / 2
    return [
        Mark(axis, x, n / total, f"{what} {low:.4g} to {high:.4g}: {n} {unit}")
        for x, n, low, high in zip(middle, counts.tolist(), edges[:-1], edges[1:], strict=True)
        if n
    ]
