"""Two files, earlier and later, to a prediction: prepared as the run's dataset was, answered in words and drawn."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from learner_jax.evaluators.saliency import score_of, smoothed, with_gradient
from learner_jax.predict.api import Opened, Prediction, predict
from learner_jax.predict.pairs import all_pairs
from learner_jax.predict.picture import draw
from learner_jax.predict.run import TrainedRun
from learner_jax.predict.wording import NOT_CLINICAL, words
from learner_jax.preprocess import intensity
from tfds_builders import alike
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest


def predict_files(
    run: TrainedRun, files: tuple[Path, Path], view: str | None, folder: Path
) -> tuple[Prediction, Opened]:
    """What the run predicts of two files, and the dataset of one patient that was built from them in ``folder``.

    Raises:
      InputError: a file cannot be read or is unlike the training scans, or the run does not know the view.
    """
    view = chosen_view(view, run.views)
    opened = Opened(run, alike.build(run.readout.spec["stored"], files, view, folder))
    for row, why in sorted(opened.refusals(np.arange(2)).items()):
        raise InputError(f"{files[row]} is unlike the scans that the run was trained on: {why}")
    (prediction,) = predict(opened, all_pairs(opened.cohort))
    return prediction, opened


def chosen_view(given: str | None, views: tuple[str, ...]) -> str:
    """The view of both scans: the one given, or the only one that the run has seen.

    Raises:
      InputError: the run has seen several and none was given, or it has not seen the one that was.
    """
    if given is None and len(views) > 1:
        raise InputError(f"the run has seen the views {', '.join(views)}; say which one these scans are of with --view")
    if given is not None and given not in views:
        raise InputError(f"--view is {given!r}, which the run has not seen; {suggest(given, views)}")
    return given or views[0]


def answer(prediction: Prediction, run: TrainedRun, names: tuple[str, str]) -> list[str]:
    """The lines for the terminal; ``names`` are those of the two files."""
    lines = [
        f"{names[0]} → {names[1]}",
        _headline(prediction),
        f"  {_probabilities(prediction, run)}",
        f"  {_difference(prediction, run)}",
    ]
    if len(run.views) > 1:
        lines.append(f"  one scan of each visit; the run was calibrated on visits of up to {len(run.views)} views")
    if run.synthetic:
        lines.append("  the run was trained on synthetic scans")
    lines.append(f"{run.workdir}, step {run.step}: {NOT_CLINICAL}")
    return lines


def picture(prediction: Prediction, opened: Opened) -> bytes:
    """A PNG of the middle frame or slice of both scans, of where the run looks in them, and of the probabilities."""
    run = opened.run
    batch = opened.reader.read(np.arange(2), np.ones(2, bool))
    pixels = np.asarray(intensity(jax.tree.map(jnp.asarray, batch)))
    score = score_of(opened.backbone, run.config, run.readout.model, opened.variables)
    where = smoothed(with_gradient(score)(pixels)[1])
    middle = pixels.shape[1] // 2
    frame = {"time": "frame", "depth": "slice", "none": "picture"}[opened.cohort.meta.axis0]
    titles = tuple(f"{when}: {frame} {middle + 1} of {pixels.shape[1]}" for when in ("earlier", "later"))
    synthetic = " The run was trained on synthetic scans." if run.synthetic else ""
    sentence = f"{_headline(prediction)}. {_difference(prediction, run)}.{synthetic}"
    return draw(
        prediction,
        pixels[:, middle].mean(axis=-1),
        where[:, middle],
        words(run.config.eval.better),
        titles,
        sentence,
    )


def _headline(prediction: Prediction) -> str:
    """``improved``, or why the run abstains."""
    if prediction.abstain:
        return f"no answer: {prediction.abstain} (the decision alone would be: {prediction.word})"
    return prediction.word


def _probabilities(prediction: Prediction, run: TrainedRun) -> str:
    """``probability: improved 0.81, stable 0.15, declined 0.04``, the likeliest first."""
    if prediction.probability is None:
        return "no probability: too few validation patients"
    ordered = sorted(zip(prediction.probability, words(run.config.eval.better), strict=True), reverse=True)
    return "probability: " + ", ".join(f"{word} {p:.2f}" for p, word in ordered)


def _difference(prediction: Prediction, run: TrainedRun) -> str:
    """``sf_ratio +42.1, 90 % interval -12.3 to +96.5 (stable: up to 30)``."""
    readout = run.readout
    interval = "no interval: too few validation patients"
    if prediction.low is not None:
        coverage = 100 * readout.calibration.coverage
        interval = f"{coverage:.0f} % interval {prediction.low:+.3g} to {prediction.high:+.3g}"
    return f"{readout.score_name} {prediction.delta:+.3g}, {interval} (stable: up to {readout.change_threshold:g})"
