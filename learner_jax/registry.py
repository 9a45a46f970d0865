"""Name -> thing, for everything that the config selects by name."""

from collections.abc import Callable
from typing import Generic, TypeVar

from tfds_builders.errors import InputError
from tfds_builders.wording import suggest

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """Things of one kind by their names.

    >>> colours = Registry("colour", "config.paint.colour")
    >>> @colours.register("red")
    ... def red(): return "#f00"
    >>> colours.get("red")()
    '#f00'
    """

    def __init__(self, kind: str, field: str):
        self._kind, self._field = kind, field
        self._things: dict[str, Thing] = {}

    def register(self, name: str) -> Callable[[Thing], Thing]:
        """Decorator that files a thing under ``name``.

        Raises:
          ValueError: the name is taken.
        """

        def file(thing: Thing) -> Thing:
            if name in self._things:
                raise ValueError(f"{self._kind} {name!r} is registered twice")
            self._things[name] = thing
            return thing

        return file

    def get(self, name: str) -> Thing:
        """The thing of that name.

        Raises:
          InputError: with the nearest name, all names and the field to set.
        """
        if name not in self._things:
            raise InputError(
                f"no {self._kind} is called {name!r}; {suggest(name, self._things)}. Set --{self._field}=…"
            )
        return self._things[name]

    def list(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._things)
