"""Words for a change, which depend on which scores are better; and why a run abstains."""

import numpy as np
from jaxtyping import Bool

from learner_jax.evaluators.readouts.calibration import Calibration

NOT_CLINICAL = "not for clinical use"
_WORDS = {
    "higher": ("declined", "stable", "improved"),
    "lower": ("improved", "stable", "declined"),
    "": ("score falls", "stable", "score rises"),
}
_USED = {"train": "trained", "val": "calibrated"}


def words(better: str) -> tuple[str, str, str]:
    """Words for the classes -1, 0, 1 of :mod:`learner_jax.evaluators.change`; ``better`` as ``config.eval.better``."""
    return _WORDS[better]


def abstention(
    held: Bool[np.ndarray, " 3"] | None, change: int, calibration: Calibration, named: tuple[str, str, str], part: str
) -> str:
    """Why a pair's class is not to be relied on; empty if it is.

    Args:
      held: which classes the pair's conformal set holds; None without a calibration.
      change: the class that the read-out decides for.
      calibration: of the read-out.
      named: :func:`words`.
      part: ``train`` or ``val`` if the run has seen the patient there, else empty.
    """
    share = f"{100 * calibration.coverage:.0f} %"
    if part:
        return f"the run was {_USED[part]} on this patient, so nothing is known about how sure it is"
    if held is None:
        return (
            f"no calibration: it takes {calibration.least_patients} validation patients with fine pairs, "
            f"and the run had {calibration.n_patients}"
        )
    inside = [word for word, holds in zip(named, held, strict=True) if holds]
    if len(inside) != 1:
        return f"the {share} set holds {_listed(inside)}"
    return "" if held[change + 1] else f"the {share} set holds {inside[0]}, the decision is {named[change + 1]}"


def _listed(classes: list[str]) -> str:
    """``declined, stable and improved``."""
    if not classes:
        return "no class"
    *most, last = classes
    return f"{', '.join(most)} and {last}" if most else last
