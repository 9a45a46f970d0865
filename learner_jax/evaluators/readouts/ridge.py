"""The primary read-out: ridge regression from embedding to score. Change is the difference of two predicted scores."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from learner_jax.evaluators.blockwise import blocks, float64, moments
from learner_jax.evaluators.pairs import Observations
from learner_jax.evaluators.readouts.api import Context, Fitted, count_observations, register
from learner_jax.evaluators.readouts.checks import labeled
from learner_jax.evaluators.readouts.linear_score import LinearScore

PENALTIES = np.logspace(4, -4, 25)  # per training observation, on standardised embeddings; strongest first
_RANK = 1e-13  # of the largest squared singular value: directions below it are only rounding

Val = tuple[np.ndarray, np.ndarray]  # embeddings [m d], targets [m] or [m q]


@dataclasses.dataclass(frozen=True)
class Ridges:
    """One decomposition of the training embeddings, for ridge regression to any targets with any penalty.

    ``X = (u - mean) / std = U S V^T`` over the dimensions that vary. With more observations than dimensions it comes
    from ``X^T X``, summed block by block in float64, which avoids a float64 copy of ``u``.
    """

    u: Float32[np.ndarray, "n d"]
    mean: Float64[np.ndarray, " d"]
    std: Float64[np.ndarray, " d"]
    varies: Bool[np.ndarray, " d"]
    squares: Float64[np.ndarray, " r"]  # S^2
    v: Float64[np.ndarray, "w r"]  # of the w dimensions that vary

    @classmethod
    def from_embeddings(cls, u: Float32[np.ndarray, "n d"]) -> "Ridges":
        """Decompose embeddings; the targets of :meth:`fit` must have the same order."""
        mean, std, varies = moments(u)
        width = int(varies.sum())
        if len(u) > width:
            gram = np.zeros((width, width))
            for at in blocks(len(u)):
                x = _standard(u[at], mean, std, varies)
                gram += x.T @ x
            squares, v = np.linalg.eigh(gram)
            squares = np.maximum(squares, 0)
        else:
            _, s, vt = np.linalg.svd(_standard(u, mean, std, varies), full_matrices=False)
            squares, v = s**2, vt.T
        return cls(u, mean, std, varies, squares, v)

    def fit(self, y: Float[np.ndarray, " n"], val: Val | None = None) -> LinearScore:
        """Ridge regression to one target, see :meth:`fit_many`."""
        return self.fit_many(y[:, None], None if val is None else (val[0], val[1][:, None]))[0]

    def fit_many(self, y: Float[np.ndarray, "n q"], val: Val | None = None) -> tuple[LinearScore, ...]:
        """Ridge regression to ``q`` targets, each with the best of 25 penalties; among equally good ones the strongest.

        Minimises ``|y - mean(y) - X w|^2 + penalty |w|^2``. The best penalty has the least squared error on ``val``, or
        without ``val`` the least generalised cross-validation error ``n RSS / (n - df)^2`` (doi
        10.1080/00401706.1979.10489751), where ``df = 1 + sum s^2 / (s^2 + penalty)``.

        Args:
          y: finite targets of all rows of ``u``.
          val: embeddings ``[m d]`` and finite targets ``[m q]`` of other patients.
        """
        n, q = len(self.u), y.shape[1]
        mean = y.astype(np.float64).mean(axis=0)
        product = np.zeros((len(self.v), q))
        total = np.zeros(q)
        for at in blocks(n):
            centred = y[at] - mean
            product += self._standard(self.u[at]).T @ centred
            total += np.square(centred).sum(axis=0)
        along = self.v.T @ product  # S U^T y
        penalties = PENALTIES * n
        shrunk = along / (self.squares[:, None] + penalties[:, None, None])  # [penalties r q]
        error = self._gcv(along, total, penalties) if val is None else self._val_error(shrunk, mean, *val)
        best = np.argmin(error, axis=0)
        coef = np.zeros((len(self.varies), q))
        coef[self.varies] = self.v @ shrunk[best, :, np.arange(q)].T
        if not self.varies.any():
            penalties = np.zeros_like(penalties)
        return tuple(
            LinearScore(
                kind="ridge",
                in_score_units=True,
                mean=self.mean,
                std=self.std,
                coef=np.ascontiguousarray(coef[:, j]),
                intercept=float(mean[j]),
                penalty=float(penalties[best[j]]),
            )
            for j in range(q)
        )

    def _standard(self, u: np.ndarray) -> np.ndarray:
        return _standard(u, self.mean, self.std, self.varies)

    def _val_error(self, shrunk: np.ndarray, mean: np.ndarray, u: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Sums of squared errors ``[penalties q]``."""
        error = np.zeros((len(shrunk), len(mean)))
        for at in blocks(len(u)):
            x, centred = self._standard(u[at]) @ self.v, y[at] - mean
            for i, coef in enumerate(shrunk):
                error[i] += np.square(centred - x @ coef).sum(axis=0)
        return error

    def _gcv(self, along: np.ndarray, total: np.ndarray, penalties: np.ndarray) -> np.ndarray:
        n, rank = len(self.u), self.squares > _RANK * self.squares.max(initial=0)
        squares, explained = self.squares[rank, None], np.square(along[rank]) / self.squares[rank, None]  # (U^T y)^2
        beyond = np.maximum(total - explained.sum(axis=0), 0)  # what no coefficients can explain
        rows = []
        for penalty in penalties:
            left = penalty / (squares + penalty)
            freedom = n - 1 - rank.sum() + left.sum()
            rows.append(n * (beyond + (explained * left**2).sum(axis=0)) / freedom**2)
        return np.array(rows)


def _standard(u: np.ndarray, mean: np.ndarray, std: np.ndarray, varies: np.ndarray) -> Float64[np.ndarray, "b w"]:
    x = float64(u)
    x -= mean
    x /= std
    return x if varies.all() else x[:, varies]


@register("ridge", LinearScore)
def ridge(train: Observations, val: Observations, context: Context) -> Fitted:
    """Ridge regression from standardised embeddings to the score, with a warning if the encoder has collapsed."""
    known, judge = labeled(train, context.score_name), val.labeled_only()
    ridges = Ridges.from_embeddings(known.u)
    model = ridges.fit(known.score, (judge.u, judge.score) if len(judge) else None)
    warning = ""
    if not ridges.varies.any():
        warning = (
            f"all {len(known)} training embeddings are equal (collapsed), so every visit is predicted at the mean "
            f"{context.score_name} of the training patients"
        )
    return Fitted(model, count_observations(len(known), context.config.pairs), warning)
