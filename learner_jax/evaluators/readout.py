"""The primary read-out: ridge from embedding to score; the change of a pair is the difference of two predictions.

It is antisymmetric by construction: swapped visits give the same change with the other sign, and a visit has not
changed against itself.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from safetensors.numpy import load_file, save_file

from learner_jax.config import EvalConfig
from learner_jax.evaluators.change import fit_threshold, true_change
from learner_jax.evaluators.pairs import Observations, fine_pairs
from tfds_builders.errors import InputError

_PENALTIES = np.logspace(4, -4, 25)  # per training observation, on standardised embeddings; strongest first
_CONSTANT = 1e-6  # SD over mean below which a dimension is float32 noise around a constant
_ROWS = 8192  # predicted at once: 100,000 x 768 in float64 would take 600 MB


@dataclasses.dataclass(frozen=True)
class Readout:
    """A fitted read-out and everything a prediction needs later.

    ``score = intercept + ((u - mean) / std) @ coef`` in score units; a pair has changed when the predictions differ by
    more than ``threshold``. Constant dimensions have ``std = 1`` and ``coef = 0``.
    """

    mean: Float64[np.ndarray, " d"]
    std: Float64[np.ndarray, " d"]
    coef: Float64[np.ndarray, " d"]
    intercept: float
    penalty: float  # lambda of |y - X w|^2 + lambda |w|^2
    threshold: float  # on |predicted difference|, score units
    threshold_source: str  # where it comes from, in words
    score_name: str
    change_threshold: float  # on |true difference|, score units
    pairs: str  # EvalConfig.pairs and .order that the threshold was fitted for
    order: str
    warning: str = ""
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)  # JSON values: vocabulary, preprocessing, …

    def predict(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Predicted score in score units; a row's prediction does not depend on the other rows.

        Raises:
          InputError: for embeddings of another width.
        """
        if u.shape[1] != len(self.coef):
            raise InputError(
                f"the read-out takes embeddings of width {len(self.coef)} and got {u.shape[1]}; it is another run's"
            )
        parts = [np.zeros(0)]
        for at in range(0, len(u), _ROWS):
            standard = (u[at : at + _ROWS].astype(np.float64) - self.mean) / self.std
            # A sum per row, not a matrix product: BLAS rounds equal rows differently, and equal scans must tie.
            parts.append((standard * self.coef).sum(axis=1) + self.intercept)
        return np.concatenate(parts)

    def write(self, folder: str | os.PathLike) -> None:
        """Write ``readout.safetensors`` (mean, std, coef) and ``readout.json`` (all else) into ``folder``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays = {name: np.ascontiguousarray(values.pop(name)) for name in ("mean", "std", "coef")}
        save_file(arrays, folder / "readout.safetensors")
        (folder / "readout.json").write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "Readout":
        """The read-out that :meth:`write` left, to the bit.

        Raises:
          InputError: when a file is missing or damaged.
        """
        folder = Path(folder)
        try:
            values = json.loads((folder / "readout.json").read_text())
            return cls(**load_file(folder / "readout.safetensors"), **values)
        except Exception as fault:  # safetensors has its own exception for a cut-off file
            raise InputError(
                f"{folder} holds no complete read-out ({fault}); score the run again: python -m learner_jax.evaluate"
            ) from fault


def fit(train: Observations, val: Observations, config: EvalConfig, score_name: str) -> Readout:
    """Fit the ridge on labeled training observations and the decision threshold on validation fine pairs.

    Embeddings are standardised with the training mean and SD. The penalty minimises the squared error on labeled
    validation observations, or without any the generalised cross-validation error ``n RSS / (n - df)^2`` on training
    (doi 10.1080/00401706.1979.10489751). The threshold on |predicted difference| has the highest macro-F1 of three-way
    change on validation pairs, or without any is ``config.change_threshold``.

    Raises:
      InputError: fewer than 2 labeled training observations, training scores that are all equal, embeddings that are
        not finite, or no ``config.change_threshold``.
    """
    if config.change_threshold is None:
        raise InputError(
            f"config.eval.change_threshold is None; it is the largest change of {score_name!r}, in score units, that "
            "still counts as stable. Set --config.eval.change_threshold=…"
        )
    check_embeddings(train, "training")
    check_embeddings(val, "validation")
    known = train.sorted().take(np.flatnonzero(train.sorted().labeled))
    val = val.sorted()
    if len(known) < 2:
        raise InputError(
            f"{len(known)} of {len(train)} training observations carry {score_name!r}; a read-out needs at least 2. "
            "Choose another score with --config.data.score=… or another split with --config.data.split=…"
        )
    if np.all(known.score == known.score[0]):
        raise InputError(
            f"all {len(known)} training observations have {score_name} = {known.score[0]:g}, so no read-out can tell "
            "them apart. Choose another score with --config.data.score=… or another split with --config.data.split=…"
        )
    u = known.u.astype(np.float64)
    mean, std = u.mean(axis=0), u.std(axis=0)
    varies = std > _CONSTANT * np.abs(mean)
    std = np.where(varies, std, 1.0)
    coef, penalty, warning = np.zeros(u.shape[1]), 0.0, ""
    if varies.any():
        coef[varies], penalty = _ridge(((u - mean) / std)[:, varies], known.score, _labeled(val, mean, std, varies))
    else:
        warning = (
            f"all {len(known)} training embeddings are equal (collapsed), so every visit is predicted at the mean "
            f"{score_name} of the training patients"
        )
    fitted = Readout(
        mean=mean,
        std=std,
        coef=coef,
        intercept=float(known.score.astype(np.float64).mean()),
        penalty=penalty,
        threshold=float(config.change_threshold),
        threshold_source="config.eval.change_threshold: no fine pairs in validation",
        score_name=score_name,
        change_threshold=float(config.change_threshold),
        pairs=config.pairs,
        order=config.order,
        warning=warning,
    )
    pairs = fine_pairs(val, config.pairs, config.order)
    if len(pairs) == 0:
        return fitted
    predicted = fitted.predict(val.u)
    change = true_change(val.score[pairs.first], val.score[pairs.second], config.change_threshold)
    threshold = fit_threshold(predicted[pairs.second] - predicted[pairs.first], change, config.change_threshold)
    source = f"highest macro-F1 on {len(pairs)} validation fine pairs"
    return dataclasses.replace(fitted, threshold=threshold, threshold_source=source)


def check_embeddings(observations: Observations, split: str) -> None:
    """Refuse embeddings that are not finite.

    Raises:
      InputError: with how many and of which split.
    """
    broken = ~np.isfinite(observations.u).all(axis=1)
    if broken.any():
        raise InputError(
            f"{broken.sum()} of {len(broken)} {split} embeddings hold NaN or infinity, first that of cohort row "
            f"{observations.rows[int(np.argmax(broken))][0]}: training has diverged or the scan is damaged. Score an "
            "earlier checkpoint, or train with a lower --config.optim.learning_rate"
        )


def _labeled(observations: Observations, mean: np.ndarray, std: np.ndarray, varies: np.ndarray) -> tuple | None:
    known = observations.take(np.flatnonzero(observations.labeled))
    return (
        (((known.u.astype(np.float64) - mean) / std)[:, varies], known.score.astype(np.float64)) if len(known) else None
    )


def _ridge(x: np.ndarray, score: np.ndarray, val: tuple | None) -> tuple[np.ndarray, float]:
    """Coefficients ``[d]`` and penalty; all penalties from one decomposition, of a ``[d d]`` triangle when n > d."""
    n = len(x)
    mean = score.astype(np.float64).mean()
    y = score.astype(np.float64) - mean
    _, s, vt = np.linalg.svd(np.linalg.qr(x, mode="r") if n > x.shape[1] else x, full_matrices=False)
    penalties = _PENALTIES * n
    shrunk = (vt @ (x.T @ y))[:, None] / (s[:, None] ** 2 + penalties)  # [r penalties]
    if val is not None:
        x_val, y_val = val
        error = ((y_val[:, None] - mean - (x_val @ vt.T) @ shrunk) ** 2).mean(axis=0)
    else:
        freedom = n - 1 - (s[:, None] ** 2 / (s[:, None] ** 2 + penalties)).sum(axis=0)
        error = n * ((y[:, None] - (x @ vt.T) @ shrunk) ** 2).sum(axis=0) / freedom**2
    best = int(np.argmin(error))  # of equal ones the strongest
    return vt.T @ shrunk[:, best], float(penalties[best])
