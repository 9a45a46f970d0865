"""Bounded numbers as types for the config's fields: ``steps: Count = 1000``."""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
_SIGNS = {operator.gt: ">", operator.ge: "≥", operator.lt: "<", operator.le: "≤"}


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bound on a number.

    Attributes:
      holds: whether ``(value, limit)`` satisfies it.
      limit: the bound itself.
      words: what to tell the user when it does not hold.
    """

    holds: Callable[[float | int, float | int], bool]
    limit: float | int
    words: str


def above(limit: float | int) -> Bound:
    """More than the limit."""
    return Bound(operator.gt, limit, f"it must be above {limit}")


def below(limit: float | int) -> Bound:
    """Less than the limit."""
    return Bound(operator.lt, limit, f"it must be below {limit}")


def least(limit: float | int) -> Bound:
    """The limit or more."""
    return Bound(operator.ge, limit, f"it must not be below {limit}")


def most(limit: float | int) -> Bound:
    """The limit or less."""
    return Bound(operator.le, limit, f"it is at most {limit}")


Count = Annotated[int, above(0)]
Several = Annotated[int, least(2)]
Whole = Annotated[int, least(0)]
Positive = Annotated[float, above(0)]
Amount = Annotated[float, least(0)]
Share = Annotated[Amount, most(1)]
Decay = Annotated[Amount, below(1)]
PositiveShare = Annotated[Positive, most(1)]


def signs(kind: Any) -> str:
    """What a type takes: ``float ≥ 0, ≤ 1``, ``float or None``."""
    plain, bounds = _parts(kind)
    name = plain.__name__ if isinstance(plain, type) else str(plain).replace(" | ", " or ")
    return f"{name} {', '.join(f'{_SIGNS[bound.holds]} {bound.limit}' for bound in bounds)}".rstrip()


def broken(kind: Any, value: Any) -> str:
    """What is wrong with a value of a field of this type: its type, not finite, out of bounds; empty if nothing is."""
    plain, bounds = _parts(kind)
    taken = plain | int if isinstance(0.0, plain) else plain  # 1 for 1.0, but not True
    if not isinstance(value, taken) or (isinstance(value, bool) and plain is not bool):
        return f"it takes {_WORDS.get(plain, 'a number or None')}"
    if isinstance(value, float) and not math.isfinite(value):
        return "it must be finite"
    return next((bound.words for bound in bounds if not bound.holds(value, bound.limit)), "")


def _parts(kind: Any) -> tuple[Any, list[Bound]]:
    """The plain type and its bounds."""
    plain, *about = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    return plain, [bound for bound in about if isinstance(bound, Bound)]
