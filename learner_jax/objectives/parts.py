"""The objectives by name. Each is a *part*, to be used alone or in a sum with others (``mse+rank_n_contrast``).

A part is a pure function with its formula and source in its docstring, registered by one of two decorators:

* :func:`pointwise`: ``(config, params, u [b d], batch) -> (loss [b], weight [b])``;
* :func:`pairwise`: ``(config, shared, anchors, everyone) -> (loss [k], weight [k])``, the contribution of a block of
  anchors; ``everyone`` is the result of ``prepare`` for all rows.

The value of a part is ``sum(loss) / sum(weight)`` over the global batch, or 0 if all weights are 0.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from learner_jax.config import ObjectiveConfig
from learner_jax.objectives.heads import Params, apply_dense, dense
from learner_jax.pytree import array_tree
from learner_jax.registry import Registry

Init = Callable[[jax.Array, int, int, ObjectiveConfig], Params]
Predict = Callable[[Params, Float[Array, "b d"]], Float[Array, " b"]]
LossAndWeight = tuple[Float[Array, " k"], Float[Array, " k"]]  # of each row or anchor


@array_tree
class Shared:
    """What every block of anchors of a pairwise part can use; gradients reach the first two fields."""

    params: Params
    temperature: Any
    survey: Any = None


class Documented:
    """A function whose docstring has a first sentence, a ``Formula:`` and a ``Source:``."""

    function: Callable[..., Any]

    @property
    def summary(self) -> str:
        """First sentence of the docstring."""
        return inspect.getdoc(self.function).split("\n")[0]

    @property
    def formula(self) -> str:
        """The docstring's section ``Formula:``."""
        return self._section("Formula")

    @property
    def source(self) -> str:
        """The docstring's section ``Source:``."""
        return self._section("Source")

    def _section(self, title: str) -> str:
        text = re.search(rf"^{title}:\n((?:  .*\n|\n)+)", inspect.getdoc(self.function) + "\n", re.MULTILINE)
        return inspect.cleandoc("\n" + text[1]) if text else ""


@dataclasses.dataclass(frozen=True)
class Part(Documented):
    """One objective.

    Attributes:
      name: as in ``config.objective.name``.
      function: the decorated function.
      pairwise: whether it compares rows.
      compares: which vectors of the rows: projections ``z``, including those of the queue, or embeddings ``u``.
      regression: whether it fits the score of single scans; such parts are never ramped.
      regularises: whether it only makes sense together with a regression part.
      init: ``(rng, dim, n_patients, config)`` -> parameters of its heads by key; parts of a sum share heads of the same
        key.
      temperature: that of its source; ``config.objective.temperature`` overrides it.
      predict: computes ``Projected.prediction`` from the embeddings.
      survey: ``(config, anchors, everyone) -> tree of sums`` over the whole batch, computed before the loss, which
        finds it in ``shared.survey``; None if not needed.
      prepare: applied once to all rows, before the blocks of anchors.
      augmentations: smallest number of copies of a scan that it needs.
    """

    name: str
    function: Callable[..., tuple[jax.Array, jax.Array]]
    pairwise: bool
    compares: str = "z"
    regression: bool = False
    regularises: bool = False
    init: Init = lambda rng, dim, n_patients, config: {}
    temperature: float | None = None
    predict: Predict | None = None
    survey: Callable[..., Any] | None = None
    prepare: Callable[[Any], Any] = lambda everyone: everyone
    augmentations: int = 1

    @property
    def members(self) -> tuple["Part", ...]:
        return (self,)


@dataclasses.dataclass(frozen=True)
class Sum(Documented):
    """A sum of parts that has a name of its own."""

    name: str
    function: Callable[..., Any]
    names: tuple[str, ...]

    @property
    def members(self) -> tuple[Part, ...]:
        return tuple(part for name in self.names for part in parts.get(name).members)


parts: Registry[Part | Sum] = Registry("objective", "config.objective.name")


def pointwise(name: str, **about: Any) -> Callable[[Callable], Callable]:
    """Decorator that registers a function of single scans; ``about`` are attributes of :class:`Part`."""
    return _file(name, pairwise=False, **about)


def pairwise(name: str, **about: Any) -> Callable[[Callable], Callable]:
    """Decorator that registers a function of a block of anchors and all rows; ``about`` as in :func:`pointwise`."""
    return _file(name, pairwise=True, **about)


def _file(name: str, **about: Any) -> Callable[[Callable], Callable]:
    def file(loss: Callable) -> Callable:
        parts.register(name)(Part(name, loss, **about))
        return loss

    return file


def together(name: str, *members: str) -> Callable[[Callable], Callable]:
    """Decorator that registers a sum under a name of its own; the function only carries the docstring."""

    def file(function: Callable) -> Callable:
        parts.register(name)(Sum(name, function, members))
        return function

    return file


def score_head(rng: jax.Array, dim: int, n_patients: int, config: ObjectiveConfig) -> Params:
    """The linear head ``d -> 1`` that predicts the score; parts of a sum that use it share it."""
    return {"head": dense(rng, dim, 1)}


def predicted_score(params: Params, u: Float[Array, "b d"]) -> Float[Array, " b"]:
    """The shared head's prediction for each scan, in SD of the training scores."""
    return apply_dense(params["head"], u)[:, 0]
