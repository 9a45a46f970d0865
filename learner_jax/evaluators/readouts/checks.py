"""Checks of what a read-out is to be fitted on, with messages for the user."""

import numpy as np

from learner_jax.evaluators.pairs import Observations
from tfds_builders.errors import InputError

_ELSEWHERE = "Choose another score with --config.data.score=… or another split with --config.data.split=…"


def check_embeddings(observations: Observations, split: str) -> None:
    """Refuse embeddings that are not finite.

    Raises:
      InputError: says how many there are, and in which split.
    """
    broken = ~np.isfinite(observations.u).all(axis=1)
    if broken.any():
        raise InputError(
            f"{broken.sum()} of {len(broken)} {split} embeddings hold NaN or infinity, first that of cohort row "
            f"{observations.rows[int(np.argmax(broken))][0]}: training has diverged or the scan is damaged. Score an "
            "earlier checkpoint, or train with a lower --config.optim.learning_rate"
        )


def check_change_threshold(threshold: float | None, score_name: str) -> float:
    """The threshold, which a run has to state.

    Raises:
      InputError: it is None.
    """
    if threshold is None:
        raise InputError(
            f"config.eval.change_threshold is None; it is the largest change of {score_name!r}, in score units, that "
            "still counts as stable. Set --config.eval.change_threshold=…"
        )
    return float(threshold)


def labeled(train: Observations, score_name: str) -> Observations:
    """The training observations that carry the score, for a read-out that learns from them.

    Raises:
      InputError: there are fewer than 2, or their scores are all equal.
    """
    known = train.labeled_only()
    if len(known) < 2:
        raise InputError(
            f"{len(known)} of {len(train)} training observations carry {score_name!r}; a read-out needs at least 2. "
            + _ELSEWHERE
        )
    if np.all(known.score == known.score[0]):
        raise InputError(
            f"all {len(known)} training observations have {score_name} = {known.score[0]:g}, so no read-out can tell "
            f"them apart. {_ELSEWHERE}"
        )
    return known
