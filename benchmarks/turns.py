"""Arms of a benchmark that take turns, so that whatever slows the machine for a while slows all of them."""

from collections.abc import Callable, Hashable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Figure = TypeVar("Figure")


def in_turns(arms: dict[Name, Callable[[], Figure]], rounds: int) -> dict[Name, list[Figure]]:
    """What each arm returns in each of ``rounds`` rounds, in reverse order in every other one.

    A further round comes first and is not counted: in it programs are compiled and caches fill.
    """
    figures: dict[Name, list[Figure]] = {name: [] for name in arms}
    for i in range(rounds + 1):
        for name in arms if i % 2 else reversed(arms):
            figure = arms[name]()
            if i:
                figures[name].append(figure)
    return figures
