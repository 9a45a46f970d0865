"""Heads that the objective trained along with the backbone, used as they are, without fitting anything.

Their input is the embedding ``u`` itself (``Part.predict`` in :mod:`learner_jax.objectives`), neither projected nor
centred per patient, and their output is in SDs of the training scores.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int

from learner_jax.evaluators.blockwise import moments, over_rows
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.readouts.api import Compared, Context, Fitted, ScoreDifference, register
from learner_jax.evaluators.readouts.linear_score import LinearScore
from learner_jax.evaluators.readouts.tie import tie_logits
from tfds_builders.errors import InputError


@dataclasses.dataclass(frozen=True)
class Davidson(ScoreDifference):
    """The likelihood that the objective ``davidson`` trained: logits ``(-r, log_tie, r)`` with ``r = w·(u2 - u1) / 2``.

    Scores are ``w·u``, so the delta is ``2 r``, the log-odds of an increase against a decrease. Not in score units.
    Source: Davidson, J. Am. Statist. Assoc. 65 (1970) 317, doi 10.1080/01621459.1970.10481082.
    """

    kind: str
    in_score_units: bool
    coef: Float64[np.ndarray, " d"]
    log_tie: float

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return len(self.coef)

    def scores(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """``w·u``."""
        return over_rows(lambda block: (block * self.coef).sum(axis=1), u)

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """``2 r`` and ``(-r, log_tie, r)``."""
        compared = super().compare(u, first, second)
        return dataclasses.replace(compared, logits=tie_logits(compared.delta / 2, self.log_tie))


@register("lilac", LinearScore)
def lilac(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """LILAC's head on differences, ``delta = score_std · w·(u2 - u1)``, score units.

    Differences leave the level open; scores are set to be ``score_mean`` at the mean training embedding.
    Source: Kim et al., PNAS 122 (2025) e2411492122.
    """
    return _linear("lilac", "difference", train, context, context.score_std, context.score_mean)


@register("lilac_order", LinearScore)
def lilac_order(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """LILAC's head on order: ``delta = w·(u2 - u1)``, the log-odds that the second score is higher.

    Source: Kim et al., PNAS 122 (2025) e2411492122.
    """
    return _linear("lilac_order", "order", train, context, None, 0.0)


@register("score_head", LinearScore)
def score_head(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """The regression head of the objective: ``score = score_mean + score_std (w·u + b)``."""
    head = _head("score_head", "head", train, context)
    if isinstance(head, str):
        return head
    bias = float(np.asarray(head.get("bias", np.zeros(1)), np.float64)[0])
    coef = _kernel(head) * context.score_std
    zero = np.zeros_like(coef)
    intercept = context.score_mean + context.score_std * bias
    return Fitted(LinearScore("score_head", True, zero, zero + 1, coef, float(intercept)), _source("head"))


@register("davidson", Davidson)
def davidson(train: Observations, val: Observations, context: Context) -> Fitted | str:
    """The three-way likelihood that the objective trained."""
    head = _head("davidson", "davidson", train, context)
    if isinstance(head, str):
        return head
    return Fitted(Davidson("davidson", False, _kernel(head), float(head["log_tie"])), _source("davidson"))


def _linear(
    name: str, key: str, train: Observations, context: Context, in_units: float | None, level: float
) -> Fitted | str:
    head = _head(name, key, train, context)
    if isinstance(head, str):
        return head
    mean, _, _ = moments(train.u)
    coef = _kernel(head) * (1.0 if in_units is None else in_units)
    return Fitted(LinearScore(name, in_units is not None, mean, np.ones_like(mean), coef, float(level)), _source(key))


def _head(name: str, key: str, train: Observations, context: Context) -> dict[str, Any] | str:
    if key not in context.heads:
        return f"{name}: the objective {context.objective!r} trained no head {key!r}"
    head = context.heads[key]
    shape = np.shape(head["kernel"])
    if shape != (train.u.shape[1], 1):
        raise InputError(
            f"the head {key!r} of the objective {context.objective!r} has a kernel of shape {shape}, but embeddings of "
            f"width {train.u.shape[1]} need {(train.u.shape[1], 1)}; it is another run's"
        )
    if not all(np.isfinite(np.asarray(x, np.float64)).all() for x in head.values()):
        return f"{name}: the head {key!r} holds NaN or infinity, so training has diverged"
    return head


def _kernel(head: dict[str, Any]) -> Float64[np.ndarray, " d"]:
    return np.ascontiguousarray(np.asarray(head["kernel"], np.float64)[:, 0])


def _source(key: str) -> str:
    return f"pretraining: the objective's own head {key!r}"
