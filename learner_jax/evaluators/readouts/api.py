"""What a read-out is: it turns embeddings of two observations of one patient into a signed change.

A *model* predicts by how much the score rises from the first to the second. A *decision* turns that into a class and
probabilities. A new read-out is a file with a frozen dataclass (the model) and a function that fits it under the
decorator :func:`register`, and one line in ``__init__``.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int, Int32
from safetensors.numpy import load_file, save_file

from learner_jax.config import EvalConfig
from learner_jax.evaluators.change import true_change
from learner_jax.evaluators.pairs import Observations, fine_pairs
from learner_jax.evaluators.readouts.calibration import Calibration, calibrate
from learner_jax.evaluators.readouts.checks import check_change_threshold, check_embeddings
from learner_jax.evaluators.readouts.decision import Decision, fit_decision
from learner_jax.registry import Registry
from tfds_builders.errors import InputError


@runtime_checkable
class Model(Protocol):
    """A fitted model: a frozen dataclass of arrays, numbers and strings.

    What it predicts for a pair depends on its two observations alone, to the bit; swapping them changes the sign of the
    delta and mirrors the logits. Inputs may be big; a model works block by block.
    """

    kind: str  # the name it is registered under
    in_score_units: bool  # whether deltas are in score units

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        ...

    def scores(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"] | None:
        """A number per observation, whose differences are the deltas; None if the model only compares pairs."""
        ...

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> "Compared":
        """Predictions for the pairs ``u[first]``, ``u[second]``, of which there may be many more than rows."""
        ...


@dataclasses.dataclass(frozen=True)
class Compared:
    """What a model predicts for ``k`` pairs of ``n`` observations.

    Attributes:
      delta: positive where the score rises from the first to the second.
      logits: of decrease, stable and increase (``change.CLASSES``); None if the model has only a delta.
      scores: of the observations, whose differences are the deltas; None if the model only compares pairs.
    """

    delta: Float64[np.ndarray, " k"]
    logits: Float64[np.ndarray, "k 3"] | None = None
    scores: Float64[np.ndarray, " n"] | None = None


class ScoreDifference:
    """Base of models whose delta is the difference of two scores."""

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """Differences of scores."""
        scores = self.scores(u)
        return Compared(scores[second] - scores[first], scores=scores)


@dataclasses.dataclass(frozen=True)
class Context:
    """What a read-out may know besides the observations."""

    config: EvalConfig
    score_name: str
    heads: dict[str, Any]  # of the objective, arrays as in TrainState.params["objective"]; {} without an objective
    score_mean: float  # of the training scores; heads predict SDs from it
    score_std: float
    objective: str  # its name, for messages


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model and what is to be told about its fitting."""

    model: Model
    fitted_on: str  # for people, see :func:`count_observations`
    warning: str = ""


def count_observations(n: int, mode: str, of: int | None = None) -> str:
    """``60 training visits``, with ``of`` ``8,192 of 20,000 training visits``; in mode ``scans`` scans."""
    among = f" of {of:,}" if of is not None and of > n else ""
    return f"{n:,}{among} training {mode}"


@dataclasses.dataclass(frozen=True)
class Readout:
    """A fitted read-out, with everything that later predictions need."""

    model: Model
    decision: Decision
    calibration: Calibration
    score_name: str
    change_threshold: float  # on |true difference|, score units
    pairs: str  # EvalConfig.pairs and .order that the decision was fitted for
    order: str
    fitted_on: str  # for people: ``60 training visits``
    warning: str = ""
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)  # JSON values: vocabulary, preprocessing, …

    def scores(self, u: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"] | None:
        """A number per observation, whose differences are the deltas; None if the model only compares pairs.

        Raises:
          InputError: the embeddings have another width than the model's. So for all methods that take embeddings.
        """
        self._check(u)
        return self.model.scores(u)

    def compare(
        self, u: Float[np.ndarray, "n d"], first: Int[np.ndarray, " k"], second: Int[np.ndarray, " k"]
    ) -> Compared:
        """Predictions for pairs of rows of ``u``, which ``decision`` turns into classes and probabilities."""
        self._check(u)
        return self.model.compare(u, first, second)

    def delta(self, first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"]) -> Float64[np.ndarray, " k"]:
        """By how much the score rises from the first to the second, in score units if ``model.in_score_units``."""
        return self._compare(first, second).delta

    def change(self, first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"]) -> Int32[np.ndarray, " k"]:
        """-1, 0 or 1: the score decreased, stayed stable, increased."""
        compared = self._compare(first, second)
        return self.decision.change(compared.delta, compared.logits)

    def probability(
        self, first: Float[np.ndarray, "k d"], second: Float[np.ndarray, "k d"]
    ) -> Float64[np.ndarray, "k 3"] | None:
        """Probabilities of -1, 0 and 1; None without validation pairs to fit them on."""
        compared = self._compare(first, second)
        return self.decision.probability(compared.delta, compared.logits)

    def write(self, folder: str | os.PathLike, stem: str) -> None:
        """Write the arrays of the model to ``STEM.safetensors`` and everything else to ``STEM.json`` in ``folder``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        model = _values(self.model)
        arrays = {name: np.ascontiguousarray(x) for name, x in model.items() if isinstance(x, np.ndarray)}
        values = _values(self) | {
            "model": {name: value for name, value in model.items() if name not in arrays} | {"kind": self.model.kind},
            "decision": _values(self.decision),
            "calibration": _values(self.calibration),
        }
        save_file(arrays, folder / f"{stem}.safetensors")
        (folder / f"{stem}.json").write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: str | os.PathLike, stem: str) -> "Readout":
        """Read what :meth:`write` wrote, to the bit.

        Raises:
          InputError: a file is missing or damaged.
        """
        folder = Path(folder)
        try:
            values = json.loads((folder / f"{stem}.json").read_text())
            stored = values.pop("model") | load_file(folder / f"{stem}.safetensors")
            kind = _registry.get(stored["kind"]).model
            model = kind(**{field.name: stored[field.name] for field in dataclasses.fields(kind)})
            decision, calibration = Decision(**values.pop("decision")), Calibration(**values.pop("calibration"))
            return cls(model, decision, calibration, **values)
        except Exception as fault:  # safetensors has its own exception for a cut-off file
            raise InputError(
                f"{folder} holds no complete read-out {stem!r} ({fault}); score the run again: "
                "python -m learner_jax.evaluate"
            ) from fault

    def _compare(self, first: np.ndarray, second: np.ndarray) -> Compared:
        self._check(first, second)
        number = np.arange(len(first))
        return self.model.compare(np.concatenate([first, second]), number, number + len(first))

    def _check(self, *embeddings: np.ndarray) -> None:
        for u in embeddings:
            if u.shape[1] != self.model.dim:
                raise InputError(
                    f"the read-out takes embeddings of width {self.model.dim}, not {u.shape[1]}; it is another run's"
                )


Fit = Callable[[Observations, Observations, Context], Fitted | str]


@dataclasses.dataclass(frozen=True)
class _Entry:
    fit: Fit
    model: type


_registry: Registry[_Entry] = Registry("read-out", "config.eval.readouts")


def register(name: str, model: type) -> Callable[[Fit], Fit]:
    """Decorator that registers ``fit(train, val, context) -> Fitted | str`` and the model's class under a name.

    ``fit`` is given sorted observations with finite embeddings. If the read-out does not apply to them, it returns one
    sentence that says why.
    """

    def decorate(fit: Fit) -> Fit:
        _registry.register(name)(_Entry(fit, model))
        return fit

    return decorate


def list_readouts() -> list[str]:
    """Names for ``config.eval.readouts``."""
    return _registry.list()


def fit(name: str, train: Observations, val: Observations, context: Context) -> Readout | str:
    """Fit a read-out by name; any order of the observations gives the same bits.

    Its decision is fitted and calibrated on the fine pairs of validation patients, see :func:`decision.fit_decision`
    and :func:`calibration.calibrate`.

    Returns:
      The read-out, or one sentence that says why it does not apply.

    Raises:
      InputError: an unknown name, no ``config.change_threshold``, embeddings that are not finite, or for read-outs that
        learn from training scores, fewer than 2 of these or all of them equal.
    """
    config, entry = context.config, _registry.get(name)
    threshold = check_change_threshold(config.change_threshold, context.score_name)
    check_embeddings(train, "training")
    check_embeddings(val, "validation")
    train, val = train.sorted(), val.sorted()
    fitted = entry.fit(train, val, context)
    if isinstance(fitted, str):
        return fitted
    model = fitted.model
    pairs = fine_pairs(val, config.pairs, config.order)
    compared = model.compare(val.u, pairs.first, pairs.second)
    score, in_units = val.score.astype(np.float64), model.in_score_units
    change = true_change(val.score[pairs.first], val.score[pairs.second], threshold)
    error = compared.delta - (score[pairs.second] - score[pairs.first]) if in_units else None
    decision = fit_decision(compared.delta, compared.logits, change, threshold, in_units)
    return Readout(
        model=model,
        decision=decision,
        calibration=calibrate(decision.probability(compared.delta, compared.logits), change, error, pairs.patient),
        score_name=context.score_name,
        change_threshold=threshold,
        pairs=config.pairs,
        order=config.order,
        fitted_on=fitted.fitted_on,
        warning=fitted.warning,
    )


def _values(thing: Any) -> dict[str, Any]:
    return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
