"""Pictures of the scans of the best and worst predicted pairs, with what moved the prediction.

This is the only part of a report that opens datasets and needs JAX. Its pages hold patients' scans.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import matplotlib
import numpy as np
import polars as pl

from learner_jax import backbones
from learner_jax.batch import BatchSpec
from learner_jax.checkpoint import Checkpoints
from learner_jax.config import Config
from learner_jax.data import cohort as cohorts
from learner_jax.data.pipeline import Reader, open_reader
from learner_jax.evaluators import places
from learner_jax.evaluators.names import PRIMARY
from learner_jax.evaluators.readouts import Readout
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.evaluators.saliency import score_of, smoothed, with_gradient
from learner_jax.fields import from_dict
from learner_jax.mesh import make_mesh
from learner_jax.placement import placed_shapes
from learner_jax.preprocess import intensity
from learner_jax.report.arms import Arm
from learner_jax.report.page import PREFIX
from learner_jax.report.picture import COLOURS, STYLE, Picture, left_out, panels
from learner_jax.report.runs import Run
from learner_jax.report.titles import number
from tfds_builders.errors import InputError

_EACH = 3  # pairs of a picture
_MAP = "inferno"


@dataclasses.dataclass(frozen=True)
class Pair:
    """One fine pair: its two scans of one view, in the frame that moved the prediction most."""

    told: str
    view: str
    change: float  # predicted from these two scans alone, in score units
    visits: tuple[int, int]
    scans: tuple[np.ndarray, np.ndarray]  # [h w c], intensities
    saliency: tuple[np.ndarray, np.ndarray]  # [h w], score units per unit of intensity


def draw(arms: Sequence[Arm]) -> list[Picture]:
    """For each arm, a picture of the pairs that were predicted worst and one of those predicted best.

    Raises:
      InputError: the dataset or the checkpoint of the evaluation is no longer there, or the pairs are not of visits.
    """
    pictures = []
    for at, arm in enumerate(arms[: len(COLOURS)]):
        worst, best = choose(arm.first.pairs)
        shown = look(arm.first, pl.concat([worst, best]))
        for word, own in (("worst", shown[: worst.height]), ("best", shown[worst.height :])):
            if own:
                pictures.append(_picture(arm, own, f"{PREFIX}{word}-{at + 1}", word, left_out(arms)))
    return pictures


def choose(pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The worst and the best predicted pairs, at most one per patient in each.

    The worst have the largest ``|predicted Δ - Δ|``. The best have the smallest, among the half of the pairs with the
    larger true change, since for an unchanged patient every prediction near 0 is good.
    """
    known = pairs.drop_nulls(["delta", "predicted_delta"])
    off = (pl.col("predicted_delta") - pl.col("delta")).abs()
    keys = ["patient", "visit_1", "visit_2"]
    known = known.with_columns(off.alias("off")).sort("off", *keys)
    moved = known.filter(pl.col("delta").abs() >= pl.col("delta").abs().median())
    worst = known.sort("off", *keys, descending=[True, False, False, False])
    return _first_of_each_patient(worst), _first_of_each_patient(moved)


def _first_of_each_patient(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.unique("patient", keep="first", maintain_order=True).head(_EACH)


def look(run: Run, pairs: pl.DataFrame) -> list[Pair]:
    """The pairs' scans and their saliency, by the encoder and the primary read-out of the run's evaluation.

    Of the views that both visits have, the one whose scans differ most in predicted score is shown.

    Raises:
      InputError: as :func:`draw`.
    """
    if run.scores.get("pairs") == "scans":
        raise InputError("pictures are of pairs of visits; these runs were evaluated with eval.pairs=scans")
    config = from_dict(Config, run.config)
    cohort = cohorts.load(config.data)
    if cohort.fingerprints["data"] != run.scores.get("fingerprints", {}).get("data"):
        raise InputError(f"{config.data.dir} holds other records than {run.name} was scored on, so no scan is shown")
    reader = open_reader(cohort, config.data)
    gradient = _gradient(run, config, reader.spec(1))
    shown = (_shown(pair, cohort, reader, gradient) for pair in pairs.to_dicts())
    return [pair for pair in shown if pair is not None]


def _gradient(run: Run, config: Config, spec: BatchSpec) -> Callable:
    """Pixels to scores and their gradient, with the checkpoint and the primary read-out of the run's evaluation."""
    readout = Readout.read(places.folder(run.folder, run.step), "readout")
    if not isinstance(readout.model, LinearScore):
        raise InputError(f"the primary read-out of {run.name} is not a {PRIMARY} read-out; evaluate the run again")
    backbone = backbones.create(config.backbone.name, config.backbone.norm)
    with Checkpoints(run.folder) as checkpoints:
        if run.step not in checkpoints.steps():
            raise InputError(
                f"{run.name} was scored at step {run.step}, whose checkpoint is gone; score the newest one"
            )
        variables, _ = checkpoints.restore_for_scoring(run.step, placed_shapes(backbone.shapes(spec), make_mesh()))
    return with_gradient(score_of(backbone, config, readout.model, variables))


def _shown(pair: dict[str, Any], cohort: cohorts.Cohort, reader: Reader, gradient: Callable) -> Pair | None:
    """The pair by the view whose scans differ most in predicted score; None where its visits share no view."""
    patient, visits = cohort.patients.index(pair["patient"]), (int(pair["visit_1"]), int(pair["visit_2"]))
    rows = [np.flatnonzero((cohort.patient == patient) & (cohort.visit == visit)) for visit in visits]
    views = sorted(set.intersection(*(set(cohort.view[own].tolist()) for own in rows)))
    if not views:
        return None
    rows = np.array([[own[cohort.view[own] == view][0] for own in rows] for view in views])
    pixels = np.asarray(jax.jit(intensity)(reader.read(rows.ravel(), np.ones(rows.size, bool))))
    scores, slopes = (np.asarray(x) for x in gradient(pixels))
    changes = np.diff(scores.reshape(-1, 2), axis=1).ravel()
    at = int(np.abs(changes).argmax())
    both = slice(2 * at, 2 * at + 2)
    scans, sizes = pixels[both], smoothed(slopes[both])
    frames = sizes.sum(axis=(2, 3)).argmax(axis=1)
    return Pair(
        f"{pair['patient'][:8]}: Δ {number(pair['delta'], 1)}, predicted {number(pair['predicted_delta'], 1)}",
        cohort.views[views[at]],
        float(changes[at]),
        visits,
        tuple(scan[frame] for scan, frame in zip(scans, frames, strict=True)),
        tuple(size[frame] for size, frame in zip(sizes, frames, strict=True)),
    )


def _picture(arm: Arm, pairs: Sequence[Pair], name: str, word: str, more: str) -> Picture:
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(4 * len(pairs), columns=4, width=2.2, height=2.4, share=False)
        for at, pair in enumerate(pairs):
            most = max(size.max() for size in pair.saliency) or 1.0
            for side, (scan, size) in enumerate(zip(pair.scans, pair.saliency, strict=True)):
                plain, marked = axes[4 * at + side], axes[4 * at + 2 + side]
                for axis in (plain, marked):
                    axis.imshow(scan if scan.shape[-1] == 3 else scan[..., 0], cmap="gray", vmin=0, vmax=1)
                    axis.set_axis_off()
                marked.imshow(size, cmap=_MAP, alpha=np.clip(size / most, 0, 1) * 0.8, vmin=0, vmax=most)
                plain.set_title(f"{pair.view}, visit {pair.visits[side]}", loc="left", fontsize=8)
            axes[4 * at + 2].set_title(f"{pair.told}\nfrom these two {number(pair.change, 1)}", loc="left", fontsize=8)
    return Picture(
        name=name,
        title=f"{arm.name}: pairs that were predicted {word}",
        alt=f"Scans of the {len(pairs)} pairs of visits that {arm.title} predicted {word}, side by side, and again "
        f"with the places that moved the prediction. {'. '.join(pair.told for pair in pairs)}.",
        caption="Left the two scans of a pair, right the same with the gradient of the predicted change with respect "
        "to their pixels, smoothed: bright is where another grey would change the prediction most. It tells what the "
        "read-out looks at, not whether that is right. Shown are, of each scan, the frame with the most of it, and of "
        "several views the one that moved the prediction most; one pair of a patient at most. The best are chosen "
        f"among the half of the pairs whose score moved most.{more}",
        figure=figure,
    )
