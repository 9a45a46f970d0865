"""Two scans of one patient, earlier and later: what a trained run says of the change between them.

    python -m learner_jax.predict.scans runs/lus/combined day1.mp4 day5.mp4 --view L1 --picture change.png

The files are read and prepared as the run's dataset was, in a temporary folder of which nothing stays. Prints
improved, stable or declined with calibrated probabilities, the predicted change of the score with an interval, and
abstains where that is not sure. Scans that cannot be read, or whose intensities are unlike those of training, are
refused. Which scores are better is --config.eval.better=higher or lower. Not for clinical use.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from learner_jax import command
from tfds_builders.errors import InputError
from tfds_builders.program import program, worded
from tfds_builders.wording import suggest


def parser() -> argparse.ArgumentParser:
    """The flags, but for fields of the config."""
    module, kind = "learner_jax.predict.scans", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program(module), description=worded(__doc__, module), formatter_class=kind)
    parser.add_argument("run", metavar="RUN", help="workdir of a run that was trained and evaluated")
    parser.add_argument("first", metavar="SCAN_A", type=Path, help="of the earlier visit: what the run's builder reads")
    parser.add_argument("second", metavar="SCAN_B", type=Path, help="of the later visit")
    parser.add_argument("--view", help="of both scans, one that the run has seen; needed where it has seen several")
    parser.add_argument("--picture", metavar="PNG", help="write the scans, where the run looks, and the bars")
    parser.add_argument("--step", type=int, help="of an evaluated checkpoint (default: the newest)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0, 2 the input is at fault, 130 stopped."""
    return command.run(parser(), arguments, _do, stopped="nothing was written")


def _do(known: argparse.Namespace, fields: list[str]) -> None:
    from tfds_builders.build import stoppable

    with stoppable(), tempfile.TemporaryDirectory(prefix="learner-predict.") as folder:
        _predict(known, fields, Path(folder))


def _predict(known: argparse.Namespace, fields: list[str], folder: Path) -> None:
    import numpy as np

    from learner_jax.bucket import local
    from learner_jax.predict.api import Opened, predict
    from learner_jax.predict.pairs import all_pairs
    from learner_jax.predict.run import open_run
    from tfds_builders import alike

    picture = local(known.picture) if known.picture else None
    if picture and picture.is_dir():
        raise InputError(f"{picture} is a folder; name the file of the picture with --picture")
    run = open_run(local(known.run), known.step, fields)
    view = chosen_view(known.view, run.views)
    opened = Opened(run, alike.build(run.readout.spec["stored"], (known.first, known.second), view, folder))
    for row, why in sorted(opened.refusals(np.arange(2)).items()):
        raise InputError(f"{(known.first, known.second)[row]} is unlike the scans that the run was trained on: {why}")
    (one,) = predict(opened, all_pairs(opened.cohort))
    lines = told(one, run, (known.first.name, known.second.name))
    print("\n".join(lines))
    if picture:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(_picture(one, opened, (known.first.name, known.second.name)))
        print(f"{picture} shows both")


def chosen_view(given: str | None, views: tuple[str, ...]) -> str:
    """The view of both scans.

    Raises:
      InputError: the run knows several and none was named, or it does not know that one.
    """
    if given is None and len(views) > 1:
        raise InputError(f"the run has seen the views {', '.join(views)}; say which one these scans are of with --view")
    if given is not None and given not in views:
        raise InputError(f"--view is {given!r}, which the run has not seen; {suggest(given, views)}")
    return given or views[0]


def told(one: Any, run: Any, names: tuple[str, str]) -> list[str]:
    """A prediction in lines for the terminal."""
    from learner_jax.predict.compatible import is_made_up
    from learner_jax.predict.wording import NOT_CLINICAL

    lines = [f"{names[0]} → {names[1]}", headline(one, run), f"  {likelihood(one, run)}", f"  {amount(one, run)}"]
    if len(run.views) > 1:
        lines.append(f"  one scan of each visit; the run was calibrated on visits of up to {len(run.views)} views")
    if is_made_up(run.readout.spec["stored"]):
        lines.append("  the run was trained on made-up scans")
    lines.append(f"{run.workdir}, step {run.step}: {NOT_CLINICAL}")
    return lines


def headline(one: Any, run: Any) -> str:
    """``improved``, or why that is not said."""
    return f"no answer: {one.abstain} (the decision alone would be: {one.word})" if one.abstain else one.word


def likelihood(one: Any, run: Any) -> str:
    """``probability: improved 0.81, stable 0.15, declined 0.04``, the likeliest first."""
    from learner_jax.predict.wording import words

    if one.probability is None:
        return "no probability: too few validation patients"
    ordered = sorted(zip(one.probability, words(run.config.eval.better), strict=True), reverse=True)
    return "probability: " + ", ".join(f"{word} {p:.2f}" for p, word in ordered)


def amount(one: Any, run: Any) -> str:
    """``sf_ratio +42.1, 90 % interval -12.3 to +96.5 (stable: up to 30)``."""
    bound, name = run.readout.calibration, run.readout.score_name
    interval = "no interval: too few validation patients"
    if one.low is not None:
        interval = f"{100 * bound.coverage:.0f} % interval {one.low:+.3g} to {one.high:+.3g}"
    return f"{name} {one.delta:+.3g}, {interval} (stable: up to {run.readout.change_threshold:g})"


def _picture(one: Any, opened: Any, names: tuple[str, str]) -> bytes:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from learner_jax.evaluators.saliency import score_of, smoothed, with_gradient
    from learner_jax.predict.compatible import is_made_up
    from learner_jax.predict.picture import draw
    from learner_jax.predict.wording import words
    from learner_jax.preprocess import intensity

    run = opened.run
    batch = opened.reader.read(np.arange(2), np.ones(2, bool))
    seen = np.asarray(intensity(jax.tree.map(jnp.asarray, batch)))
    score = score_of(opened.backbone, run.config, run.readout.model, opened.variables)
    where = smoothed(with_gradient(score)(seen)[1])
    middle = seen.shape[1] // 2
    frame = {"time": "frame", "depth": "slice", "none": "picture"}[opened.cohort.meta.axis0]
    titles = tuple(f"{when}: {frame} {middle + 1} of {seen.shape[1]}" for when in ("earlier", "later"))
    made_up = " The run was trained on made-up scans." if is_made_up(run.readout.spec["stored"]) else ""
    sentence = f"{headline(one, run)}. {amount(one, run)}.{made_up}"
    return draw(one, seen[:, middle].mean(axis=-1), where[:, middle], words(run.config.eval.better), titles, sentence)


if __name__ == "__main__":
    sys.exit(main())
